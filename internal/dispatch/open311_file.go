package dispatch

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"gridgate/internal/grid"
)

// create answers POST requests: the request becomes an event filed by the caller. Who
// reported it (names, addresses, telephone numbers) is neither read nor kept.
func (s *Server311) create(w http.ResponseWriter, r *http.Request, by grid.Actor, form string) {
	if s.cfg.File == nil {
		fail311(w, form, http.StatusNotImplemented, "requests cannot be created here: this gateway files events of its sensors only")
		return
	}
	if err := r.ParseForm(); err != nil {
		fail311(w, form, http.StatusBadRequest, "the form cannot be read")
		return
	}
	f, status, why := s.filing(r.PostForm, r.Header.Get("Idempotency-Key"), by)
	if why != "" {
		fail311(w, form, status, why)
		return
	}
	filed, err := s.cfg.File(r.Context(), f)
	if err != nil {
		status, why := http.StatusServiceUnavailable, "the request cannot be filed now"
		switch grid.CodeOf(err) {
		case grid.Invalid, grid.Conflict:
			status, why = http.StatusBadRequest, printable(err.Error(), detailLimit)
		case grid.NotFound:
			status, why = http.StatusNotFound, printable(err.Error(), detailLimit)
		}
		fail311(w, form, status, why)
		return
	}
	notice := ""
	if len(filed.Duplicates) > 0 {
		notice = "it may be about the same as " + filed.Duplicates[0].Ticket
	}
	list := []request311{{ID: text311(filed.Ticket.ID), Notice: text311(notice)}}
	write311(w, form, http.StatusCreated, list, requests311{Items: list})
}

// filing reads a form of GeoReport v2; why says what is missing, "" for nothing.
func (s *Server311) filing(q url.Values, key string, by grid.Actor) (f grid.Filing, status int, why string) {
	if j := s.cfg.Services.Jurisdiction; j != "" && q.Get("jurisdiction_id") != j {
		return f, http.StatusNotFound, "jurisdiction_id was not found"
	}
	code := q.Get("service_code")
	i := slices.IndexFunc(s.cfg.Services.Services, func(v Service311) bool { return v.Code == code })
	switch {
	case code == "":
		return f, http.StatusBadRequest, "service_code is missing"
	case i < 0:
		return f, http.StatusNotFound, "service_code was not found"
	case s.cfg.Services.Services[i].Files == "":
		return f, http.StatusBadRequest, "service_code " + code + " cannot be reported, only listed"
	}
	f = grid.Filing{
		Source: grid.FromDepartment, Type: s.cfg.Services.Services[i].Files, Place: q.Get("address_string"), Point: q.Get("address_id"),
		Text: q.Get("description"), By: by,
		// The caller's own number, where it says one: the same again is the same request.
		External: cmp.Or(by.Unit, by.Name) + "/" + cmp.Or(q.Get("attribute[external_id]"), key, rand.Text()),
	}
	lat, long := q.Get("lat"), q.Get("long")
	if lat != "" || long != "" {
		var err1, err2 error
		f.Lat, err1 = strconv.ParseFloat(lat, 64)
		f.Lon, err2 = strconv.ParseFloat(long, 64)
		if err1 != nil || err2 != nil {
			return f, http.StatusBadRequest, "lat and long must both be degrees of WGS84"
		}
		f.CRS = "WGS84"
	} else if f.Place == "" && f.Point == "" {
		return f, http.StatusBadRequest, "lat and long, address_string or address_id is missing"
	}
	return f, 0, ""
}
