package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// ServeHTTP answers for by: /cap/feed.atom lists the newest alerts, /cap/<id>.xml is one.
// A unit sees its own; who is not a unit sees all, or those of ?unit=.
func (c *CAP) ServeHTTP(w http.ResponseWriter, r *http.Request, by grid.Actor) {
	name := strings.TrimPrefix(r.URL.Path, "/cap/")
	var body []byte
	var err error
	kind := CAPContentType
	if name == "feed.atom" {
		kind = "application/atom+xml"
		body, err = c.feed(r.Context(), by, r.URL.Query().Get("unit"))
	} else {
		body, err = c.file(r.Context(), by, name)
	}
	switch {
	case grid.CodeOf(err) == grid.NotFound:
		http.Error(w, "no such alert", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "alerts cannot be read now", http.StatusServiceUnavailable)
		return
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	w.Write(body) // the client is gone if this fails
}

// file is one alert. To a unit, another's does not exist.
func (c *CAP) file(ctx context.Context, by grid.Actor, name string) ([]byte, error) {
	id, ok := strings.CutSuffix(name, ".xml")
	if !ok {
		return nil, grid.Errorf(grid.NotFound, "%s: not found", name)
	}
	d, err := c.cfg.Delivery(ctx, id)
	if err != nil {
		return nil, err
	}
	if d.Connector != "cap" || d.State == grid.DeliveryWithheld || by.Role == grid.RoleUnit && d.Unit != by.Unit {
		return nil, grid.Errorf(grid.NotFound, "%s: not found", name)
	}
	return c.alert(ctx, d)
}

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Summary string   `xml:"summary"`
	Link    atomLink `xml:"link"`
}

// feed is the Atom feed (RFC 4287) of the newest alerts.
func (c *CAP) feed(ctx context.Context, by grid.Actor, unit string) ([]byte, error) {
	if by.Role == grid.RoleUnit {
		unit = by.Unit
	}
	ds, err := c.cfg.Recent(ctx, unit)
	if err != nil {
		return nil, err
	}
	t := c.cfg.Table
	f := atomFeed{
		ID: "urn:gridgate:cap:" + unit, Title: "CAP alerts of " + t.Sender, Author: atomAuthor{t.Sender},
		Updated: time.Unix(0, 0).UTC().Format(time.RFC3339),
		Links:   []atomLink{{"self", "application/atom+xml", "feed.atom"}},
	}
	for _, d := range ds {
		if d.Connector != "cap" || d.State == grid.DeliveryWithheld {
			continue
		}
		b, err := read(d)
		if err != nil {
			continue // its delivery is dead and says why
		}
		at := d.Created.In(t.zone).Format(time.RFC3339)
		if len(f.Entries) == 0 {
			f.Updated = at
		}
		f.Entries = append(f.Entries, atomEntry{
			ID: "urn:gridgate:cap:alert:" + d.ID, Title: b.Title, Updated: at,
			Summary: fmt.Sprintf("%s, %s, %s, %s", d.Type, capStatus(d.Mode), b.Priority, b.Place.Words),
			Link:    atomLink{"alternate", CAPContentType, d.ID + ".xml"},
		})
	}
	out, err := xml.MarshalIndent(f, "", " ")
	return append([]byte(xml.Header), out...), err
}
