package bulk

import (
	"context"
	"io"

	"gridgate/internal/grid"
)

// What was found in a sheet, in pages and as a sheet of its own.

// Problems gives a page of what is wrong, and of what an undo has left as it is.
func (j *Jobs) Problems(ctx context.Context, id, cursor string, limit int) (out []grid.ImportProblem, next string, err error) {
	m, err := j.Store.Import(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if m.State == grid.ImportUndoing || m.State == grid.ImportUndone {
		out, err = j.Store.ImportKept(ctx, id, mostProblems)
		return out, "", err
	}
	return page[grid.ImportProblem](j.files, id+problemsName, cursor, limit, nil)
}

// Rows gives a page of what each row was found to be; result "" is all.
func (j *Jobs) Rows(ctx context.Context, id, result, cursor string, limit int) (out []grid.ImportRow, next string, err error) {
	if _, err := j.Store.Import(ctx, id); err != nil {
		return nil, "", err
	}
	return page(j.files, id+rowsName, cursor, limit, func(r *grid.ImportRow) bool { return result == "" || r.Result == result })
}

// ProblemsCSV writes all that is wrong as a sheet, in one language.
func (j *Jobs) ProblemsCSV(ctx context.Context, id, lang string, w io.Writer) error {
	out := newCSV(w)
	heads := []string{"行", "列", "内容", "问题"}
	if lang == "en" {
		heads = []string{"row", "column", "value", "problem"}
	}
	out.line(heads)
	for cursor := ""; ; {
		problems, next, err := j.Problems(ctx, id, cursor, 1000)
		if err != nil {
			return err
		}
		for _, p := range problems {
			said := p.Problem.ZH
			if lang == "en" {
				said = p.Problem.EN
			}
			out.line([]string{itoa(p.Row), p.Column, p.Value, said})
		}
		if cursor = next; cursor == "" {
			return out.end()
		}
	}
}

// mostProblems is how many an undo's list has.
const mostProblems = 10_000
