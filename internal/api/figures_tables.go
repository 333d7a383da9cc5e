package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
)

// FigureTables makes what stands beside the board.
type FigureTables interface {
	Trend(ctx context.Context, a figures.Ask) (figures.Trend, error)
	Load(ctx context.Context, a figures.Ask) (figures.Load, error)
	Sensors(ctx context.Context, a figures.Ask) (figures.SensorHealth, error)
	Models(ctx context.Context, a figures.Ask) (figures.Models, error)
	Zone() *time.Location // of its days
}

// kept is an answer that can be kept as a table too.
type kept interface{ Tables() []figures.Table }

// figureTableRoutes: the trend within a period, the load of the desk, the health of sensors,
// models by false alarms; each also as a file. A unit sees the trend of its own tickets.
func (s *Server) figureTableRoutes(api huma.API) {
	tables(s, api, viewers|units|walls, "trend", "How the figures went within a period: by the hour, the day or the week", FigureTables.Trend)
	tables(s, api, operators, "load", "Alarms for each operator against what one can take, peaks, time to acknowledge", FigureTables.Load)
	tables(s, api, viewers|walls, "sensors", "Installed devices by kind and model: silent, battery low, faulty, availability", FigureTables.Sensors)
	tables(s, api, viewers|walls, "models", "Device models by false-alarm rate, the worst first", FigureTables.Models)
	for _, f := range tableFiles() {
		route(s, api, viewers|units, figuresWithin, get("/hotspots."+f.ext, "list-hotspots-"+f.ext, "figures", "Hot-spots as "+f.what), func(ctx context.Context, by grid.Actor, in *listInput) (*file, error) {
			return s.hotspotsAs(ctx, by, in, f)
		})
	}
}

type tableFile struct {
	ext, what, contentType string
	write                  func(io.Writer, ...figures.Table) error
}

func tableFiles() []tableFile {
	return []tableFile{
		{"csv", "a table that a spreadsheet opens", "text/csv; charset=utf-8", figures.WriteTablesCSV},
		{"xlsx", "a workbook", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", figures.WriteTablesXLSX},
	}
}

// tables registers one kind of figures, and its files.
func tables[T kept](s *Server, api huma.API, who access, name, summary string, make func(FigureTables, context.Context, figures.Ask) (T, error)) {
	ask := func(ctx context.Context, by grid.Actor, in *kpiInput) (out T, err error) {
		if s.FigureTables == nil {
			return out, grid.Errorf(grid.Unavailable, "this gateway makes no figures")
		}
		return make(s.FigureTables, ctx, in.ask(by))
	}
	route(s, api, who, figuresWithin, get("/kpis/"+name, "get-kpi-"+name, "figures", summary), func(ctx context.Context, by grid.Actor, in *kpiInput) (*body[T], error) {
		return answer(ask(ctx, by, in))
	})
	for _, f := range tableFiles() {
		route(s, api, who, figuresWithin, get("/kpis/"+name+"."+f.ext, "get-kpi-"+name+"-"+f.ext, "figures", "The same as "+f.what), func(ctx context.Context, by grid.Actor, in *kpiInput) (*file, error) {
			got, err := ask(ctx, by, in)
			if err != nil {
				return nil, err
			}
			return f.of(name, got.Tables())
		})
	}
}

func (f tableFile) of(name string, tables []figures.Table) (*file, error) {
	var out bytes.Buffer
	if err := f.write(&out, tables...); err != nil {
		return nil, fmt.Errorf("%s as %s: %w", name, f.ext, err)
	}
	return &file{ContentType: f.contentType, Disposition: fmt.Sprintf("attachment; filename=%q", name+"."+f.ext), Body: out.Bytes()}, nil
}

func (s *Server) hotspotsAs(ctx context.Context, by grid.Actor, in *listInput, f tableFile) (*file, error) {
	page, err := s.Store.ListHotspots(ctx, in.query(by))
	if err != nil {
		return nil, err
	}
	zone := time.UTC
	if s.FigureTables != nil {
		zone = s.FigureTables.Zone()
	}
	return f.of("hotspots", figures.HotspotTables(page.Items, zone))
}

// OperatorLoad reads what the desk had to take.
func (c *Client) OperatorLoad(ctx context.Context, q KPIQuery) (figures.Load, error) {
	return call[figures.Load](ctx, c, http.MethodGet, "/api/v1/kpis/load", q.values(), nil)
}

// SensorHealth reads how the installed devices were.
func (c *Client) SensorHealth(ctx context.Context, q KPIQuery) (figures.SensorHealth, error) {
	return call[figures.SensorHealth](ctx, c, http.MethodGet, "/api/v1/kpis/sensors", q.values(), nil)
}

// KPITrend reads how the figures went within a period.
func (c *Client) KPITrend(ctx context.Context, q KPIQuery) (figures.Trend, error) {
	return call[figures.Trend](ctx, c, http.MethodGet, "/api/v1/kpis/trend", q.values(), nil)
}
