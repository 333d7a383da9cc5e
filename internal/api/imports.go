package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// Imports takes sheets in and out.
type Imports interface {
	Add(ctx context.Context, file []byte, m grid.Import, key string) (grid.Import, error)
	Get(ctx context.Context, id string) (grid.Import, error)
	Apply(ctx context.Context, id string, skipBad bool, by grid.Actor) (grid.Import, error)
	Undo(ctx context.Context, id string, by grid.Actor) (grid.Import, error)
	Problems(ctx context.Context, id, cursor string, limit int) (out []grid.ImportProblem, next string, err error)
	Rows(ctx context.Context, id, result, cursor string, limit int) (out []grid.ImportRow, next string, err error)
	ProblemsCSV(ctx context.Context, id, lang string, w io.Writer) error
	Export(ctx context.Context, kind grid.ImportKind, format, lang string, scope grid.Scope, w io.Writer) error
	Template(kind grid.ImportKind, format, lang string, w io.Writer) error
}

const (
	maxSheet      = 64<<20 + 1
	firstProblems = 100 // that an import shows by itself
)

// importRoutes: sheets in and out.
func (s *Server) importRoutes(api huma.API) {
	if s.Imports == nil {
		return
	}
	up := post("/imports", "add-import", "imports", "Hand in a sheet (CSV or XLSX, headers in Chinese or English) of points, devices, installations or buildings")
	up.Description = "It is checked row by row and, unless dry_run, then applied: all of it, or with skip_bad the good rows. The same sheet again changes nothing."
	up.MaxBodyBytes, up.BodyReadTimeout, up.DefaultStatus = maxSheet, importWithin, http.StatusAccepted
	route(s, api, admins, importWithin, up, s.addImport)
	list(s, api, admins, get("/imports", "list-imports", "imports", "Sheets that were handed in, newest first"), s.Store.ListImports)
	route(s, api, admins, answerWithin, get("/imports/{id}", "get-import", "imports", "How far an import is, with its first problems"),
		func(ctx context.Context, _ grid.Actor, in *idInput) (*body[ImportView], error) {
			m, err := s.Imports.Get(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return s.importView(ctx, m)
		})
	route(s, api, admins, answerWithin, get("/imports/{id}/problems", "list-import-problems", "imports", "What is wrong, row by row; of an undone import: what it has left as it is"),
		func(ctx context.Context, _ grid.Actor, in *importPageInput) (*body[Page[grid.ImportProblem]], error) {
			items, next, err := s.Imports.Problems(ctx, in.ID, in.Cursor, in.Limit)
			return &body[Page[grid.ImportProblem]]{Page[grid.ImportProblem]{Items: some(items), Next: next}}, err
		})
	route(s, api, admins, answerWithin, get("/imports/{id}/rows", "list-import-rows", "imports", "What the check found each row to be"),
		func(ctx context.Context, _ grid.Actor, in *importRowsInput) (*body[Page[grid.ImportRow]], error) {
			items, next, err := s.Imports.Rows(ctx, in.ID, in.Result, in.Cursor, in.Limit)
			return &body[Page[grid.ImportRow]]{Page[grid.ImportRow]{Items: some(items), Next: next}}, err
		})
	route(s, api, admins, 0, get("/imports/{id}/problems.csv", "get-import-problems-csv", "imports", "All problems as CSV"), s.importProblemsCSV)
	route(s, api, admins, answerWithin, post("/imports/{id}/apply", "apply-import", "imports", "Apply a sheet that was checked"), s.applyImport)
	route(s, api, admins, answerWithin, post("/imports/{id}/undo", "undo-import", "imports", "Put back what an import has changed, except what was changed or heard since"),
		func(ctx context.Context, by grid.Actor, in *undoImportInput) (*body[ImportView], error) {
			m, err := s.Imports.Undo(ctx, in.ID, by)
			if err != nil {
				return nil, err
			}
			return s.importView(ctx, m)
		})
	for _, format := range []string{"csv", "xlsx"} {
		route(s, api, admins, 0, get("/imports/template."+format, "get-import-template-"+format, "imports", "An empty sheet with headers, an example and hints"),
			func(_ context.Context, _ grid.Actor, in *templateInput) (*huma.StreamResponse, error) {
				return s.sheet("gridgate-template."+format, format, func(_ context.Context, w io.Writer) error {
					return s.Imports.Template(grid.ImportKind(in.Kind), format, in.Lang, w)
				}), nil
			})
		for _, kind := range []grid.ImportKind{grid.ImportPoints, grid.ImportDevices, grid.ImportInstallations, grid.ImportBuildings} {
			op := get("/exports/"+string(kind)+"."+format, "export-"+string(kind)+"-"+format, "imports", "What is registered as a sheet that can be handed in again")
			route(s, api, admins, 0, op, func(_ context.Context, _ grid.Actor, in *exportInput) (*huma.StreamResponse, error) {
				scope := grid.Scope{District: in.District, Street: in.Street, Community: in.Community, Compound: in.Compound, Contractor: in.Contractor}
				return s.sheet("gridgate-"+string(kind)+"."+format, format, func(ctx context.Context, w io.Writer) error {
					return s.Imports.Export(ctx, kind, format, in.Lang, scope, w)
				}), nil
			})
		}
	}
}

// some is never null.
func some[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

type addImportInput struct {
	Key     string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again gives the first import."`
	DryRun  bool   `query:"dry_run" doc:"Check and wait to be applied."`
	SkipBad bool   `query:"skip_bad" doc:"Apply the good rows though there are bad ones."`
	Kind    string `query:"kind" enum:"auto,points,devices,installations,buildings" default:"auto"`
	Name    string `query:"name" maxLength:"200" doc:"Of the file."`
	RawBody []byte `contentType:"application/octet-stream"`
}

// ImportView is an import with the first of its problems.
type ImportView struct {
	grid.Import
	Problems []grid.ImportProblem `json:"problems"`
}

func (s *Server) importView(ctx context.Context, m grid.Import) (*body[ImportView], error) {
	problems, _, err := s.Imports.Problems(ctx, m.ID, "", firstProblems)
	return &body[ImportView]{ImportView{m, some(problems)}}, err
}

func (s *Server) addImport(ctx context.Context, by grid.Actor, in *addImportInput) (*body[ImportView], error) {
	m, err := s.Imports.Add(ctx, in.RawBody, grid.Import{Name: in.Name, Kind: grid.ImportKind(in.Kind), DryRun: in.DryRun, SkipBad: in.SkipBad, By: by}, in.Key)
	if err != nil {
		return nil, err
	}
	return s.importView(ctx, m)
}

type importPageInput struct {
	ID     string `path:"id"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" doc:"The next of the page before."`
}

type importRowsInput struct {
	ID     string `path:"id"`
	Cursor string `query:"cursor"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Result string `query:"result" enum:"added,changed,same,bad" doc:"Only these rows."`
}

type applyImportInput struct {
	ID      string `path:"id"`
	Key     string `header:"Idempotency-Key" maxLength:"200" doc:"Applying again changes nothing, with any key."`
	SkipBad bool   `query:"skip_bad"`
}

type undoImportInput struct {
	ID  string `path:"id"`
	Key string `header:"Idempotency-Key" maxLength:"200" doc:"Undoing again changes nothing, with any key."`
}

func (s *Server) applyImport(ctx context.Context, by grid.Actor, in *applyImportInput) (*body[ImportView], error) {
	m, err := s.Imports.Apply(ctx, in.ID, in.SkipBad, by)
	if err != nil {
		return nil, err
	}
	return s.importView(ctx, m)
}

type langInput struct {
	ID   string `path:"id"`
	Lang string `query:"lang" enum:"zh,en" default:"zh"`
}

func (s *Server) importProblemsCSV(ctx context.Context, _ grid.Actor, in *langInput) (*huma.StreamResponse, error) {
	if _, err := s.Imports.Get(ctx, in.ID); err != nil {
		return nil, err
	}
	return s.sheet("problems-"+in.ID+".csv", "csv", func(ctx context.Context, w io.Writer) error { return s.Imports.ProblemsCSV(ctx, in.ID, in.Lang, w) }), nil
}

type templateInput struct {
	Lang string `query:"lang" enum:"zh,en" default:"zh"`
	Kind string `query:"kind" enum:"auto,points,devices,installations,buildings" default:"auto"`
}

type exportInput struct {
	Lang       string `query:"lang" enum:"zh,en" default:"zh"`
	District   string `query:"district" doc:"District code, 6 digits."`
	Street     string `query:"street" doc:"Street code, 9 digits."`
	Community  string `query:"community" doc:"Community code, 12 digits."`
	Compound   string `query:"compound"`
	Contractor string `query:"contractor"`
}

// sheet streams one out. What fails on the way breaks the connection off: half a sheet must not
// look like a whole one.
func (s *Server) sheet(name, format string, write func(ctx context.Context, w io.Writer) error) *huma.StreamResponse {
	media := "text/csv; charset=utf-8"
	if format == "xlsx" {
		media = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", media)
		hc.SetHeader("Content-Disposition", `attachment; filename="`+name+`"`)
		hc.SetHeader("X-Content-Type-Options", "nosniff")
		hc.SetHeader("Cache-Control", "no-store")
		if err := write(hc.Context(), readInTime(hc)); err != nil {
			s.Log.Warn("a sheet was broken off", "err", err)
			panic(http.ErrAbortHandler)
		}
	}}
}
