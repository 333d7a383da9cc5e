package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/evidence"
	"gridgate/internal/grid"
)

// Files keeps what stands behind tickets.
type Files interface {
	Put(r io.Reader) (evidence.Stored, error)
	Done(sha256 string) // the row of what was put is written, or will not be
	Get(sha256 string) (*os.File, error)
}

// evidenceRoutes: photos and documents behind tickets; a unit reaches those of its own.
func (s *Server) evidenceRoutes(api huma.API) {
	up := post("/tickets/{id}/evidence", "add-evidence", "tickets", "Keep a photo (JPEG, PNG, WebP, HEIC) or PDF with the ticket; a move then names it as evidence: file:<id>")
	up.MaxBodyBytes, up.DefaultStatus = evidence.MaxBytes+1, http.StatusCreated
	route(s, api, operators|units, importWithin, up, s.addEvidence)
	route(s, api, operators|units, answerWithin, get("/tickets/{id}/evidence", "list-evidence", "tickets", "The files of a ticket, oldest first"), s.listEvidence)
	route(s, api, operators|units, importWithin, get("/evidence/{id}", "get-evidence", "tickets", "A file itself"), s.getEvidence)
}

type evidenceInput struct {
	ID      string `path:"id"`
	Shows   string `query:"shows" enum:"near,far,reference,before,after" doc:"What the photo shows."`
	Note    string `query:"note" maxLength:"500"`
	RawBody []byte `contentType:"application/octet-stream"`
}

func (s *Server) addEvidence(ctx context.Context, by grid.Actor, in *evidenceInput) (*body[grid.EvidenceFile], error) {
	t, err := s.ticketFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	stored, err := s.Files.Put(bytes.NewReader(in.RawBody))
	if err != nil {
		return nil, err
	}
	defer s.Files.Done(stored.SHA256)
	f, err := s.Engine.AddFile(ctx, grid.EvidenceFile{
		Ticket: t.ID, SHA256: stored.SHA256, Bytes: stored.Bytes, Type: stored.Type, Shows: in.Shows, Note: in.Note, By: by,
	})
	return &body[grid.EvidenceFile]{f}, err
}

func (s *Server) listEvidence(ctx context.Context, by grid.Actor, in *idInput) (*body[Page[grid.EvidenceFile]], error) {
	if _, err := s.ticketFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	files, err := s.Store.Files(ctx, in.ID)
	if files == nil {
		files = []grid.EvidenceFile{}
	}
	return &body[Page[grid.EvidenceFile]]{Page[grid.EvidenceFile]{Items: files}}, err
}

// erasedSteps tell in a timeline which files are gone: that they were there, what they were, and who
// brought them stays.
func erasedSteps(files []grid.EvidenceFile) (out []Step) {
	for _, f := range files {
		if f.Erased.IsZero() {
			continue
		}
		by := string(f.By.Role)
		if f.By.Unit != "" {
			by += " " + f.By.Unit
		}
		out = append(out, Step{f.Erased, "move", fmt.Sprintf("%s%s (%s, %d bytes, sha256 %s), brought by %s at %s, was erased: %s",
			grid.EvidencePrefix, f.ID, f.Type, f.Bytes, f.SHA256, by, f.At.UTC().Format(time.RFC3339), f.Why), f})
	}
	return out
}

func (s *Server) getEvidence(ctx context.Context, by grid.Actor, in *idInput) (*huma.StreamResponse, error) {
	f, err := s.Store.File(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.ticketFor(ctx, by, f.Ticket); err != nil {
		return nil, err
	}
	if !f.Erased.IsZero() {
		return nil, wasErased("file", f.ID, f.Erased, f.Why)
	}
	return s.file(f.SHA256, f.Type, f.Bytes)
}

// file gives a file that people have sent, as what it is and nothing else: no browser guesses.
func (s *Server) file(sha256, mediaType string, bytes int64) (*huma.StreamResponse, error) {
	f, err := s.Files.Get(sha256)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer f.Close()
		hc.SetHeader("Content-Type", mediaType)
		hc.SetHeader("Content-Length", strconv.FormatInt(bytes, 10))
		hc.SetHeader("Content-Disposition", "inline")
		hc.SetHeader("X-Content-Type-Options", "nosniff")
		hc.SetHeader("Content-Security-Policy", "sandbox")
		hc.SetHeader("Cache-Control", "private, max-age=86400, immutable")
		hc.SetHeader("ETag", `"`+sha256+`"`)
		io.Copy(hc.BodyWriter(), f) // the client is gone if this fails
	}}, nil
}
