package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gridgate/internal/grid"
)

func devicePath(id grid.Identity, what string) string {
	return "/api/v1/devices/" + url.PathEscape(string(id)) + what
}

func pointPath(id, what string) string { return "/api/v1/points/" + url.PathEscape(id) + what }

// Point reads one point.
func (c *Client) Point(ctx context.Context, id string) (grid.Point, error) {
	return call[grid.Point](ctx, c, http.MethodGet, pointPath(id, ""), nil, nil)
}

// PutPoint adds a point, or changes one.
func (c *Client) PutPoint(ctx context.Context, id string, n PointFields, fresh bool, key string) (Placed, error) {
	if fresh {
		n.ID = id
		return call[Placed](ctx, c, http.MethodPost, "/api/v1/points", nil, &content{json: n, key: key})
	}
	return call[Placed](ctx, c, http.MethodPut, pointPath(id, ""), nil, &content{json: n, key: key})
}

// PointsNear lists the points around a position, nearest first.
func (c *Client) PointsNear(ctx context.Context, lat, lon float64, crs string, radius float64, limit int) (Page[PointView], error) {
	q := url.Values{"near": {fmt.Sprintf("%f,%f", lat, lon)}, "crs": {crs}, "radius": {fmt.Sprint(radius)}, "limit": {fmt.Sprint(limit)}}
	return call[Page[PointView]](ctx, c, http.MethodGet, "/api/v1/points", q, nil)
}

// RetirePoint takes a point out.
func (c *Client) RetirePoint(ctx context.Context, id, reason string, withTickets bool) (grid.Point, error) {
	return call[grid.Point](ctx, c, http.MethodPost, pointPath(id, "/retire"), nil, &content{json: map[string]any{"reason": reason, "with_tickets": withTickets}})
}

// PointLog and DeviceLog read the history, newest first.
func (c *Client) PointLog(ctx context.Context, id string, limit int) (Page[grid.Change], error) {
	return call[Page[grid.Change]](ctx, c, http.MethodGet, pointPath(id, "/log"), url.Values{"limit": {fmt.Sprint(limit)}}, nil)
}

func (c *Client) DeviceLog(ctx context.Context, id grid.Identity, limit int) (Page[grid.Change], error) {
	return call[Page[grid.Change]](ctx, c, http.MethodGet, devicePath(id, "/log"), url.Values{"limit": {fmt.Sprint(limit)}}, nil)
}

// BuildingLog reads the history of a building.
func (c *Client) BuildingLog(ctx context.Context, id string, limit int) (Page[grid.Change], error) {
	return call[Page[grid.Change]](ctx, c, http.MethodGet, "/api/v1/buildings/"+url.PathEscape(id)+"/log", url.Values{"limit": {fmt.Sprint(limit)}}, nil)
}

// NotePoint and NoteDevice keep a remark.
func (c *Client) NotePoint(ctx context.Context, id, text string) (grid.Change, error) {
	return call[grid.Change](ctx, c, http.MethodPost, pointPath(id, "/notes"), nil, &content{json: map[string]string{"text": text}})
}

func (c *Client) NoteDevice(ctx context.Context, id grid.Identity, text string) (grid.Change, error) {
	return call[grid.Change](ctx, c, http.MethodPost, devicePath(id, "/notes"), nil, &content{json: map[string]string{"text": text}})
}

// AddPhoto keeps a photo of a point; Photo reads one.
func (c *Client) AddPhoto(ctx context.Context, point string, photo []byte, shows, note string) (grid.PointPhoto, error) {
	q := url.Values{"shows": {shows}}
	if note != "" {
		q.Set("note", note)
	}
	return call[grid.PointPhoto](ctx, c, http.MethodPost, pointPath(point, "/photos"), q, &content{raw: photo})
}

func (c *Client) Photo(ctx context.Context, id string) ([]byte, error) {
	return do(ctx, c, http.MethodGet, "/api/v1/photos/"+url.PathEscape(id), nil, nil, time.Minute)
}

// Photos lists the photos of a point, newest first.
func (c *Client) Photos(ctx context.Context, point string) (Page[grid.PointPhoto], error) {
	return call[Page[grid.PointPhoto]](ctx, c, http.MethodGet, pointPath(point, "/photos"), nil, nil)
}

// Building and PutBuilding read and write one.
func (c *Client) Building(ctx context.Context, id string) (grid.Building, error) {
	return call[grid.Building](ctx, c, http.MethodGet, "/api/v1/buildings/"+url.PathEscape(id), nil, nil)
}

func (c *Client) PutBuilding(ctx context.Context, n NewBuilding, fresh bool) (grid.Building, error) {
	if fresh {
		return call[grid.Building](ctx, c, http.MethodPost, "/api/v1/buildings", nil, &content{json: n})
	}
	return call[grid.Building](ctx, c, http.MethodPut, "/api/v1/buildings/"+url.PathEscape(n.ID), nil, &content{json: n})
}

// Replace puts another device in the place of one; UndoReplace takes that back.
func (c *Client) Replace(ctx context.Context, old grid.Identity, n Replacement, key string) (grid.Swapped, error) {
	return call[grid.Swapped](ctx, c, http.MethodPost, devicePath(old, "/replace"), nil, &content{json: n, key: key})
}

func (c *Client) UndoReplace(ctx context.Context, old grid.Identity, reason string) (grid.Swapped, error) {
	return call[grid.Swapped](ctx, c, http.MethodPost, devicePath(old, "/replace/undo"), nil, &content{json: map[string]string{"reason": reason}})
}

// MoveDevice puts a device at another point.
func (c *Client) MoveDevice(ctx context.Context, id grid.Identity, point, channel, reason string) (grid.Device, error) {
	return call[grid.Device](ctx, c, http.MethodPost, devicePath(id, "/move"), nil, &content{json: map[string]string{"point": point, "channel": channel, "reason": reason}})
}

// RetireFor and Revive take a device out and back, with a reason.
func (c *Client) RetireFor(ctx context.Context, id grid.Identity, reason string) (grid.Device, error) {
	return call[grid.Device](ctx, c, http.MethodPost, devicePath(id, "/retire"), nil, &content{json: map[string]string{"reason": reason}})
}

func (c *Client) Revive(ctx context.Context, id grid.Identity, reason string) (grid.Device, error) {
	return call[grid.Device](ctx, c, http.MethodPost, devicePath(id, "/revive"), nil, &content{json: map[string]string{"reason": reason}})
}

// Bar keeps a device out.
func (c *Client) Bar(ctx context.Context, id grid.Identity, reason string, stolen bool) (grid.Device, error) {
	return call[grid.Device](ctx, c, http.MethodPost, devicePath(id, "/bar"), nil, &content{json: map[string]any{"reason": reason, "stolen": stolen}})
}
