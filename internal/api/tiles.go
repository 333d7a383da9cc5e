package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// Tiles are the points of a scope as vector tiles, each with a tag that changes with it.
type Tiles interface {
	Tile(ctx context.Context, scope grid.Scope, z, x, y uint32) (tile []byte, tag string, err error)
	// Extent is around all points, west, south, east, north; nil: there are none.
	Extent(ctx context.Context, scope grid.Scope) (around *[4]float64, points int, err error)
}

// tileRoutes: the points of the map.
func (s *Server) tileRoutes(api huma.API) {
	op := get("/tiles/{z}/{x}/{y}", "get-tile", "points", "Points of a square of the map as a Mapbox vector tile")
	op.Description = "The layer \"points\": single points with id and kind; further out clusters with n and how many of each kind (door, parking, manhole, smoke). " +
		"What happens at the points is not in it: see the lists and the stream."
	op.Responses = map[string]*huma.Response{
		"200": {Description: "The tile, compressed.", Content: map[string]*huma.MediaType{"application/vnd.mapbox-vector-tile": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}},
		"204": {Description: "There is nothing in it."},
		"304": {Description: "It has not changed."},
	}
	route(s, api, viewers|technicians|walls, answerWithin, op, s.tile)
}

type tileInput struct {
	Z      uint32 `path:"z" maximum:"30"`
	X      uint32 `path:"x"`
	Y      uint32 `path:"y"`
	Street string `query:"street" doc:"Street code, 9 digits: its points alone."`
	Have   string `header:"If-None-Match"`
}

func (s *Server) tile(ctx context.Context, by grid.Actor, in *tileInput) (*huma.StreamResponse, error) {
	if s.Tiles == nil {
		return nil, grid.Errorf(grid.Unavailable, "tiles: this gateway makes none")
	}
	q := Query{Scope: grid.Scope{Street: in.Street}}
	if err := s.within(ctx, by, &q); err != nil {
		return nil, err
	}
	tile, tag, err := s.Tiles.Tile(ctx, q.Scope, in.Z, in.X, in.Y)
	if err != nil {
		return nil, err
	}
	tag = fmt.Sprintf("%q", tag)
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("ETag", tag)
		hc.SetHeader("Cache-Control", "private, no-cache")
		switch {
		case strings.Contains(in.Have, tag):
			hc.SetStatus(304)
			return
		case len(tile) == 0:
			hc.SetStatus(204)
			return
		}
		hc.SetHeader("Content-Type", "application/vnd.mapbox-vector-tile")
		s.zipped(hc, tile)
	}}, nil
}

// zipped writes a body packed.
func (s *Server) zipped(hc huma.Context, b []byte) {
	hc.SetHeader("Content-Encoding", "gzip")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(b) // into memory: cannot fail
	z.Close()
	if _, err := packed.WriteTo(hc.BodyWriter()); err != nil {
		s.Log.Debug("answer was not taken", "err", err)
	}
}
