package api

import (
	"context"
	"net/http"
	"strings"

	"gridgate/internal/grid"
)

// Face is a part of the HTTP face with a format of its own, beside /api/v1.
type Face struct {
	Path string // of http.ServeMux: "/cap/"
	// Serve answers a request of by. It ends with the request's context, which has a deadline.
	Serve func(w http.ResponseWriter, r *http.Request, by grid.Actor)
	// Key finds a token that does not stand in the Authorization header, "" for none. Optional.
	Key func(r *http.Request) string
	// Refuse answers a request without a good token, in the face's own format. Optional:
	// problem details.
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
}

// face serves f to those with a token: of the administrator, or of a unit. Readers of feeds
// that know no bearer token may give it as the password of HTTP's basic authentication.
func (s *Server) face(f Face) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		w, r, keep := s.followFace(w, r)
		by, err := s.Who(ctx, f.token(r))
		defer func() { keep(by) }()
		if err == nil {
			err = s.allow(ctx, by, operators|units)
		}
		if err == nil {
			f.Serve(w, r, by)
			return
		}
		if grid.CodeOf(err) == grid.Unauthorized {
			w.Header().Add("WWW-Authenticate", `Basic realm="gridgate"`)
		}
		if f.Refuse != nil {
			f.Refuse(w, r, err)
			return
		}
		writeProblem(w, err)
	})
}

func (f *Face) token(r *http.Request) string {
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(t)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if f.Key != nil {
		return f.Key(r)
	}
	return ""
}
