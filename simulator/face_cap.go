package simulator

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// alertCAP is what a unit's system reads of a CAP 1.2 alert.
type alertCAP struct {
	XMLName    xml.Name `xml:"urn:oasis:names:tc:emergency:cap:1.2 alert"`
	Identifier string   `xml:"identifier"`
	Status     string   `xml:"status"`
	MsgType    string   `xml:"msgType"`
	Info       []struct {
		Headline  string `xml:"headline"`
		Parameter []struct {
			Name  string `xml:"valueName"`
			Value string `xml:"value"`
		} `xml:"parameter"`
		Area []struct {
			Words  string   `xml:"areaDesc"`
			Circle []string `xml:"circle"`
		} `xml:"area"`
	} `xml:"info"`
}

// takeCAP is the endpoint of a unit that takes CAP: verify, read, keep, and then work as
// after any message, by the gateway's API.
func (c *crew) takeCAP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<10))
	if err != nil {
		http.Error(w, "body cannot be read", http.StatusBadRequest)
		return
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/cap+xml") {
		http.Error(w, "want application/cap+xml", http.StatusUnsupportedMediaType)
		return
	}
	if err := c.hook.Verify(body, r.Header); err != nil {
		c.mu.Lock()
		c.refused++
		c.mu.Unlock()
		http.Error(w, "signature", http.StatusUnauthorized)
		return
	}
	var a alertCAP
	if err := xml.Unmarshal(body, &a); err != nil || a.Identifier == "" || len(a.Info) == 0 {
		http.Error(w, "body is no CAP 1.2 alert", http.StatusBadRequest)
		return
	}
	m := a.message()
	c.lookUp(r.Context(), &m)
	id := r.Header.Get(webhooks.HeaderWebhookID)
	if id == "" {
		id = a.Identifier
	}
	c.keep(id, m)
	w.WriteHeader(http.StatusNoContent)
}

// message is an alert as people read it.
func (a *alertCAP) message() message {
	var m message
	info := a.Info[0]
	m.Data.Title = info.Headline
	for _, p := range info.Parameter {
		switch p.Name {
		case "Ticket":
			m.Data.Ticket = p.Value
		case "Case":
			m.Data.Case = p.Value
		case "Assignment":
			m.Data.Assignment = p.Value
		case "Attempt":
			m.Data.Attempt, _ = strconv.Atoi(p.Value) // 0 is none
		case "Priority":
			m.Data.Priority = p.Value
		case "Message":
			m.Type = p.Value
		case "CallbackURL":
			m.Data.CallbackURL = p.Value
		}
	}
	if m.Type == "" { // of somebody else: what CAP itself says
		m.Type = map[string]string{"Alert": "ticket.opened", "Update": "ticket.updated", "Cancel": "ticket.cancelled"}[a.MsgType]
	}
	for _, area := range info.Area {
		m.Data.Place.Words = area.Words
		for _, circle := range area.Circle { // "lat,lon radius"
			at, _, _ := strings.Cut(circle, " ")
			la, lo, _ := strings.Cut(at, ",")
			lat, err1 := strconv.ParseFloat(la, 64)
			lon, err2 := strconv.ParseFloat(lo, 64)
			if err1 == nil && err2 == nil {
				m.Data.Place.Lat, m.Data.Place.Lon = &lat, &lon
			}
		}
	}
	return m
}

// lookUp asks the gateway for what CAP has no words for: who leads, and which point it is.
func (c *crew) lookUp(ctx context.Context, m *message) {
	if m.Data.Ticket == "" || m.Data.CallbackURL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var t struct {
		Type        string `json:"type"`
		Point       string `json:"point"`
		Assignments []struct {
			ID   string `json:"id"`
			Lead bool   `json:"lead"`
		} `json:"assignments"`
	}
	if err := c.ask(ctx, http.MethodGet, *m, "", nil, &t); err != nil {
		c.say("cannot read", *m, "cannot read ticket %s: %v", m.Data.Ticket, err) // they go there all the same
		return
	}
	m.Data.Event, m.Data.Place.Point = t.Type, t.Point
	for _, x := range t.Assignments {
		if x.ID == m.Data.Assignment {
			m.Data.Lead = x.Lead
		}
	}
}
