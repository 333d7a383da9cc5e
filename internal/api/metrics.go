package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gridgate/internal/grid"
)

// figuresOfGateway serves /metrics: to who comes straight from MetricsFrom, and else to who has a
// token of the desk, or of a screen, for the whole district. They tell of no person and no place, but
// what is connected, and how busy the city is.
func (s *Server) figuresOfGateway() http.Handler {
	figures := promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !straightFrom(r, s.MetricsFrom) {
			if err := s.mayMeasure(r); err != nil {
				if grid.CodeOf(err) == grid.Unauthorized {
					w.Header().Set("WWW-Authenticate", `Bearer realm="gridgate"`)
				}
				writeProblem(w, err)
				return
			}
		}
		figures.ServeHTTP(w, r)
	})
}

// straightFrom reports whether a request's own connection comes from one of these networks. What
// somebody has forwarded comes from anywhere.
func straightFrom(r *http.Request, networks []netip.Prefix) bool {
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range networks {
		if p.Contains(a.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

func (s *Server) mayMeasure(r *http.Request) error {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	by, err := s.Who(r.Context(), strings.TrimSpace(token))
	if err == nil {
		err = s.allow(r.Context(), by, viewers|walls)
	}
	if err == nil && by.Scope != (grid.Scope{}) {
		err = grid.Errorf(grid.Forbidden, "figures are of the whole district: want a token of it")
	}
	return err
}
