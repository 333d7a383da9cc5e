package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// Standby gives a second machine a copy of everything, piece by piece.
type Standby interface {
	// Standing is which copy of its data this gateway is.
	Standing() Standing
	// Copies lists what there is to be copied at this moment.
	Copies(ctx context.Context) (Copies, error)
	// Snapshot makes a consistent copy of the databases, to be read like other files until the next.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Open reads size bytes of a file of Copies or of the Snapshot, from an offset on.
	Open(path string, from, size int64) (io.ReadCloser, error)
	// Fence ends this gateway: a copy of a higher term takes its place.
	Fence(f Fence) error
	// Tail takes what the predecessor's journal has beyond the copy.
	Tail(ctx context.Context, t Tail) (TailTaken, error)
}

// Standing is which copy of its data a gateway is: of two the one with the higher term is the gateway.
type Standing struct {
	Lineage string `json:"lineage"` // the same in all copies
	Term    uint32 `json:"term"`    // how often one copy has followed another
	Holder  string `json:"holder"`  // this one
}

// Copies is what a standby copies.
type Copies struct {
	Standing
	Program string     `json:"program"`
	At      time.Time  `json:"at"`
	Files   []CopyFile `json:"files"`
}

// CopyFile is one file of it.
type CopyFile struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"`  // what of it is durable
	Fixed bool   `json:"fixed"` // it does not grow any more
	Whole bool   `json:"whole"` // it is small and may change anywhere: it is read anew
}

// Snapshot is a consistent copy of the databases.
type Snapshot struct {
	Program string         `json:"program"`
	Taken   time.Time      `json:"taken"`
	Files   []SnapshotFile `json:"files"`
}

// SnapshotFile is one of them. Blocks of which the standby has the same bytes need not be sent.
type SnapshotFile struct {
	Name   string   `json:"name"`
	Size   int64    `json:"size"`
	SHA256 string   `json:"sha256"`
	Block  int64    `json:"block"`  // bytes of each block but the last
	Blocks []string `json:"blocks"` // SHA-256 of each
}

// Fence says that a copy takes over.
type Fence struct {
	Lineage string `json:"lineage"`
	Term    uint32 `json:"term" doc:"Of the copy that takes over: more than this gateway's."`
	By      string `json:"by" doc:"Which machine that is, in words."`
}

type copyInput struct {
	Path string `query:"path" required:"true"`
	From int64  `query:"from" minimum:"0"`
	Size int64  `query:"size" minimum:"1" maximum:"67108864" default:"8388608"`
}

type fenceInput struct{ Body Fence }

// snapshotWithin bounds the copy of the databases.
const snapshotWithin = 10 * time.Minute

// standbyAccess is admins', for a copy has everything in it, and that of who only copies. A token
// that lies on the second machine for ever must not be able to stop the gateway: the fence is
// admins' alone.
const standbyAccess = admins | standbys

// standbyRoutes are for a second machine that holds itself ready.
func (s *Server) standbyRoutes(api huma.API) {
	op := get("/standby", "copies", "standby", "What a standby copies: files of journal, evidence and audit, with their durable sizes")
	route(s, api, standbyAccess, answerWithin, op, func(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[Copies], error) {
		if s.Standby == nil {
			return nil, errNoStandby()
		}
		c, err := s.Standby.Copies(ctx)
		return &body[Copies]{c}, err
	})
	op = post("/standby/snapshot", "snapshot", "standby", "Make a consistent copy of the databases for a standby, and list its blocks")
	route(s, api, standbyAccess, 0, op, func(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[Snapshot], error) {
		if s.Standby == nil {
			return nil, errNoStandby()
		}
		ctx, cancel := context.WithTimeout(ctx, snapshotWithin)
		defer cancel()
		c, err := s.Standby.Snapshot(ctx)
		return &body[Snapshot]{c}, err
	})
	op = get("/standby/file", "copyFile", "standby", "Bytes of a file of the list, or of the snapshot")
	route(s, api, standbyAccess, 0, op, s.copyFile)
	op = post("/standby/fence", "fence", "standby", "End this gateway for good: a copy of a higher term takes its place")
	route(s, api, admins, answerWithin, op, func(_ context.Context, _ grid.Actor, in *fenceInput) (*struct{}, error) {
		if s.Standby == nil {
			return nil, errNoStandby()
		}
		return nil, s.Standby.Fence(in.Body)
	})
	s.tailRoutes(api)
}

func errNoStandby() error {
	return grid.Errorf(grid.Unavailable, "standby: this gateway gives no copies")
}

func (s *Server) copyFile(_ context.Context, _ grid.Actor, in *copyInput) (*huma.StreamResponse, error) {
	if s.Standby == nil {
		return nil, errNoStandby()
	}
	f, err := s.Standby.Open(in.Path, in.From, in.Size)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer f.Close()
		hc.SetHeader("Content-Type", "application/octet-stream")
		io.Copy(readInTime(hc), f) // the client is gone if this fails, and asks again from where it is
	}}, nil
}

// whichCopy answers anybody: a copy that starts asks before it has anybody's token.
func (s *Server) whichCopy(w http.ResponseWriter, _ *http.Request) {
	if s.Standby == nil {
		writeProblem(w, errNoStandby())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s.Standby.Standing()) // the client is gone if this fails
}

// Standing asks which copy a gateway is. It needs no token.
func (c *Client) Standing(ctx context.Context) (Standing, error) {
	return call[Standing](ctx, c, http.MethodGet, "/standing", nil, nil)
}

// Copies lists what there is to be copied.
func (c *Client) Copies(ctx context.Context) (Copies, error) {
	return call[Copies](ctx, c, http.MethodGet, "/api/v1/standby", nil, nil)
}

// Snapshot has the gateway make a copy of its databases.
func (c *Client) Snapshot(ctx context.Context) (out Snapshot, err error) {
	b, err := do(ctx, c, http.MethodPost, "/api/v1/standby/snapshot", nil, &content{}, snapshotWithin)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

// Fence ends a gateway whose place is taken.
func (c *Client) Fence(ctx context.Context, f Fence) error {
	_, err := do(ctx, c, http.MethodPost, "/api/v1/standby/fence", nil, &content{json: f}, answerWithin)
	return err
}

// CopyFile reads size bytes of a file of the list, or of the snapshot.
func (c *Client) CopyFile(ctx context.Context, path string, from, size int64) ([]byte, error) {
	v := url.Values{"path": {path}, "from": {strconv.FormatInt(from, 10)}, "size": {strconv.FormatInt(size, 10)}}
	b, err := do(ctx, c, http.MethodGet, "/api/v1/standby/file", v, nil, importWithin)
	if err == nil && int64(len(b)) != size {
		err = fmt.Errorf("%s: %d bytes came: want %d", path, len(b), size)
	}
	return b, err
}
