package gateway

import (
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// profiling are the pages of net/http/pprof, for admins alone, by a bearer token. Whoever else
// asks is told that there is no such page.
func (g *Gateway) profiling() map[string]http.Handler {
	admins := func(serve http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			by, err := g.who(r.Context(), token)
			if err != nil || by.Standing() != grid.RoleAdmin {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Cache-Control", "no-store")
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(6 * time.Minute)) // a profile is as long as it is asked to be
			serve(w, r)
		})
	}
	return map[string]http.Handler{
		"GET /debug/pprof/":        admins(pprof.Index),
		"GET /debug/pprof/profile": admins(pprof.Profile),
		"GET /debug/pprof/symbol":  admins(pprof.Symbol),
		"GET /debug/pprof/trace":   admins(pprof.Trace),
	}
}
