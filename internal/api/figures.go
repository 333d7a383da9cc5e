package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
)

// Shapes of the KPI board.
type (
	Board      = figures.Board
	BoardGroup = figures.Group
	Figure     = figures.Figure
	Compared   = figures.Compared
)

// figureRoutes: the KPI board, and places with too many alarms. A unit sees what its own
// tickets give.
func (s *Server) figureRoutes(api huma.API) {
	route(s, api, viewers|units|walls, figuresWithin, get("/kpis", "get-kpis", "figures", "The KPI board of a period, compared and by groups"), s.kpis)
	route(s, api, viewers|units, figuresWithin, get("/kpis.csv", "get-kpis-csv", "figures", "The same as a table that a spreadsheet opens"), s.kpisAs("text/csv; charset=utf-8", "csv", figures.WriteCSV))
	route(s, api, viewers|units, figuresWithin, get("/kpis.xlsx", "get-kpis-xlsx", "figures", "The same as a workbook"),
		s.kpisAs("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", figures.WriteXLSX))
	list(s, api, viewers|units|walls, get("/hotspots", "list-hotspots", "figures", "Compounds and cells with too many verified alarms, newest first; state listed or delisted"),
		func(ctx context.Context, q Query) (Page[grid.Hotspot], error) { return s.Store.ListHotspots(ctx, q) })
	s.figureTableRoutes(api)
}

// figuresWithin is how long a board of a year may take.
const figuresWithin = 60 * time.Second

type kpiInput struct {
	Period    string    `query:"period" enum:"day,week,7d,30d,month,quarter,year" doc:"Of which kind; 7d and 30d end with the day of at; month if nothing is said. Or since and until."`
	At        time.Time `query:"at" doc:"A moment in the period; now if nothing is said."`
	Since     time.Time `query:"since"`
	Until     time.Time `query:"until"`
	By        string    `query:"by" enum:"district,street,community,compound,cell,unit,kind,type,priority,profile,hour" doc:"Groups."`
	Compare   bool      `query:"compare" doc:"With the period before (环比) and the same a year ago (同比)."`
	District  string    `query:"district"`
	Street    string    `query:"street"`
	Community string    `query:"community"`
	Compound  string    `query:"compound"`
	Cell      string    `query:"cell"`
	Unit      string    `query:"unit" doc:"Only tickets that this unit leads."`
	Kind      string    `query:"kind" enum:"door,parking,manhole,smoke" doc:"Of the points."`
	Mode      string    `query:"mode" enum:"live,test,exercise,simulated" doc:"What is counted; live if nothing is said: practice is never among it."`
}

func (in *kpiInput) ask(by grid.Actor) figures.Ask {
	a := figures.Ask{
		Period: in.Period, At: in.At, Since: in.Since, Until: in.Until, By: in.By, Compare: in.Compare, Unit: in.Unit, Kind: grid.Kind(in.Kind), Cell: in.Cell, Mode: grid.Mode(in.Mode),
		Scope: grid.Scope{District: in.District, Street: in.Street, Community: in.Community, Compound: in.Compound},
	}
	if by.Role == grid.RoleUnit {
		a.Unit = by.Unit
	}
	return a
}

func (s *Server) board(ctx context.Context, by grid.Actor, in *kpiInput) (Board, error) {
	if s.Figures == nil {
		return Board{}, grid.Errorf(grid.Unavailable, "this gateway makes no figures")
	}
	return s.Figures(ctx, in.ask(by))
}

func (s *Server) kpis(ctx context.Context, by grid.Actor, in *kpiInput) (*body[Board], error) {
	b, err := s.board(ctx, by, in)
	return &body[Board]{b}, err
}

// file is an answer to be saved.
type file struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (s *Server) kpisAs(contentType, ext string, write func(io.Writer, Board) error) func(context.Context, grid.Actor, *kpiInput) (*file, error) {
	return func(ctx context.Context, by grid.Actor, in *kpiInput) (*file, error) {
		b, err := s.board(ctx, by, in)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := write(&out, b); err != nil {
			return nil, fmt.Errorf("figures as %s: %w", ext, err)
		}
		return &file{ContentType: contentType, Disposition: fmt.Sprintf("attachment; filename=%q", "kpis-"+b.Period.Name+"."+ext), Body: out.Bytes()}, nil
	}
}

// KPIQuery asks for a board; zero fields do not narrow it.
type KPIQuery struct {
	Period, By                                  string
	At, Since, Until                            time.Time
	Compare                                     bool
	District, Street, Community, Compound, Cell string
	Unit, Kind, Mode                            string
}

func (q *KPIQuery) values() url.Values {
	v := url.Values{}
	for key, value := range map[string]string{
		"period": q.Period, "by": q.By, "at": stamp(q.At), "since": stamp(q.Since), "until": stamp(q.Until), "district": q.District, "street": q.Street,
		"community": q.Community, "compound": q.Compound, "cell": q.Cell, "unit": q.Unit, "kind": q.Kind, "mode": q.Mode,
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if q.Compare {
		v.Set("compare", strconv.FormatBool(q.Compare))
	}
	return v
}

// KPIs reads the board of a period.
func (c *Client) KPIs(ctx context.Context, q KPIQuery) (Board, error) {
	return call[Board](ctx, c, http.MethodGet, "/api/v1/kpis", q.values(), nil)
}

// KPIFile reads the board of a period as a file: csv or xlsx.
func (c *Client) KPIFile(ctx context.Context, q KPIQuery, ext string) ([]byte, error) {
	return do(ctx, c, http.MethodGet, "/api/v1/kpis."+ext, q.values(), nil, importWithin+answerWithin)
}
