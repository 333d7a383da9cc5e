package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

const contactsPath = "/api/v1/contacts"

func contactPath(id string) string { return contactsPath + "/" + url.PathEscape(id) }

// Contacts lists contacts; of "" is all.
func (c *Client) Contacts(ctx context.Context, of string, limit int) (Page[ContactView], error) {
	return call[Page[ContactView]](ctx, c, http.MethodGet, contactsPath, peopleValues(of, limit), nil)
}

func peopleValues(of string, limit int) url.Values {
	v := url.Values{"limit": {strconv.Itoa(limit)}}
	if of != "" {
		v.Set("of", of)
	}
	return v
}

// PutContact adds or changes one.
func (c *Client) PutContact(ctx context.Context, ask ContactAsk, key string) (ContactView, error) {
	return call[ContactView](ctx, c, http.MethodPost, contactsPath, nil, &content{json: ask, key: key})
}

// RevealContact reads its number.
func (c *Client) RevealContact(ctx context.Context, id, reason string, by *As) (ContactRevealed, error) {
	in := map[string]any{}
	if reason != "" {
		in["reason"] = reason
	}
	if by != nil {
		in["by"] = by
	}
	return call[ContactRevealed](ctx, c, http.MethodPost, contactPath(id)+"/reveal", nil, &content{json: in})
}

// ContactReads says who has read it.
func (c *Client) ContactReads(ctx context.Context, id string) (Page[ContactRead], error) {
	return call[Page[ContactRead]](ctx, c, http.MethodGet, contactPath(id)+"/reads", nil, nil)
}

// VerifyContact notes that it is right.
func (c *Client) VerifyContact(ctx context.Context, id string) (ContactView, error) {
	return call[ContactView](ctx, c, http.MethodPost, contactPath(id)+"/verify", nil, nil)
}

// EraseContact erases what tells the person.
func (c *Client) EraseContact(ctx context.Context, id, reason string) (ContactView, error) {
	v := url.Values{}
	if reason != "" {
		v.Set("reason", reason)
	}
	return call[ContactView](ctx, c, http.MethodDelete, contactPath(id), v, nil)
}

// Rosters lists rosters.
func (c *Client) Rosters(ctx context.Context, of string, limit int) (Page[grid.Roster], error) {
	return call[Page[grid.Roster]](ctx, c, http.MethodGet, "/api/v1/rosters", peopleValues(of, limit), nil)
}

// PutRoster adds or changes one.
func (c *Client) PutRoster(ctx context.Context, ask RosterAsk) (grid.Roster, error) {
	return call[grid.Roster](ctx, c, http.MethodPost, "/api/v1/rosters", nil, &content{json: ask})
}

// EndRoster ends one.
func (c *Client) EndRoster(ctx context.Context, id string) (grid.Roster, error) {
	return call[grid.Roster](ctx, c, http.MethodDelete, "/api/v1/rosters/"+url.PathEscape(id), nil, nil)
}

// Shifts lists shifts.
func (c *Client) Shifts(ctx context.Context, of string, limit int) (Page[grid.Shift], error) {
	return call[Page[grid.Shift]](ctx, c, http.MethodGet, "/api/v1/shifts", peopleValues(of, limit), nil)
}

// PutShift puts a person on duty.
func (c *Client) PutShift(ctx context.Context, ask ShiftAsk, key string) (grid.Shift, error) {
	return call[grid.Shift](ctx, c, http.MethodPost, "/api/v1/shifts", nil, &content{json: ask, key: key})
}

// EndShift ends one.
func (c *Client) EndShift(ctx context.Context, id string) (grid.Shift, error) {
	return call[grid.Shift](ctx, c, http.MethodDelete, "/api/v1/shifts/"+url.PathEscape(id), nil, nil)
}

// Gaps lists the spans ahead in which a roster is not kept.
func (c *Client) Gaps(ctx context.Context, days int) (Page[DutyGap], error) {
	return call[Page[DutyGap]](ctx, c, http.MethodGet, "/api/v1/rosters/gaps", url.Values{"days": {strconv.Itoa(days)}}, nil)
}

// Duty says who is on duty; the zero time is now.
func (c *Client) Duty(ctx context.Context, whom string, at time.Time) (OnDuty, error) {
	return call[OnDuty](ctx, c, http.MethodGet, "/api/v1/rosters/duty", atValues(url.Values{"for": {whom}}, at), nil)
}

// Route says which units a ticket would call; the zero time is now.
func (c *Client) Route(ctx context.Context, typ grid.EventType, point string, at time.Time) (TicketRoute, error) {
	return call[TicketRoute](ctx, c, http.MethodGet, "/api/v1/tickets/route", atValues(url.Values{"type": {string(typ)}, "point": {point}}, at), nil)
}

func atValues(v url.Values, at time.Time) url.Values {
	if !at.IsZero() {
		v.Set("at", at.UTC().Format(time.RFC3339))
	}
	return v
}
