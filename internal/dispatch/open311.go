package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Open311 delivers tickets as service requests of GeoReport v2 and asks for what became of
// them. A request says our delivery's id in its description, and before each POST the
// server is asked whether it has one that does: a delivery makes one request, however
// often it is sent.
//
// A unit's url is the endpoint ("https://city.example/open311/v2"), its secret the API key.
type Open311 struct {
	reach  Reach
	client *http.Client
}

// NewOpen311 makes the connector. Close frees its connections.
func NewOpen311(r Reach) *Open311 { return &Open311{reach: r, client: newClient(r.Allow, r.TLS)} }

// Close frees idle connections.
func (o *Open311) Close() { o.client.CloseIdleConnections() }

// made are the messages that become a request of their own; GeoReport v2 has no way to
// change one that is there.
var made311 = map[string]string{
	"ticket.opened": "", "ticket.rework": "NOT FIXED, again: ", "ticket.escalated": "URGENT, again: ",
	"ticket.stand_down": "STAND DOWN, no longer needed: ", "ticket.cancelled": "CANCELLED, no longer needed: ",
}

// Check says what is wrong with a unit's entry in the registry.
func (o *Open311) Check(u grid.Unit) error {
	_, err := webAddress(u)
	errs := []error{err, onlySettings(u, "jurisdiction_id", "format", "lookup", "service.")}
	if f := u.Settings["format"]; f != "" && f != "json" && f != "xml" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting format is %q: want json or xml", u.ID, f))
	}
	if f := u.Settings["lookup"]; f != "" && f != "never" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting lookup is %q: want never, or leave it out", u.ID, f))
	}
	if u.Settings["service.default"] == "" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting service.default is missing: want the service code of events that have none of their own", u.ID))
	}
	if u.Secret == "" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: secret is empty: want the API key", u.ID))
	}
	return errors.Join(errs...)
}

// Deliver makes the request of d, unless the server has it. Ref is its service_request_id,
// or "token:…" where the server gives the id later.
func (o *Open311) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	u, err := o.reach.addressee(ctx, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	if err := o.Check(u); err != nil {
		return grid.Receipt{}, fmt.Errorf("%w: %w", errOurs, err)
	}
	if _, ok := made311[d.Type]; !ok {
		return grid.Receipt{}, fmt.Errorf("%w: GeoReport v2 has no form for %s", ErrWithheld, d.Type)
	}
	b, err := read(d)
	if err != nil {
		return grid.Receipt{}, err
	}
	if u.Settings["lookup"] != "never" {
		if r, found, err := o.lookup(ctx, u, d, b); err != nil || found {
			return r, err
		}
	}
	return o.create(ctx, u, d, b)
}

// Probe asks for the list of services: a test request would be a case in somebody's system.
func (o *Open311) Probe(ctx context.Context, u grid.Unit) error {
	if err := o.Check(u); err != nil {
		return err
	}
	r, err := o.get(ctx, u, endpoint311(u, "services", url.Values{}))
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("services cannot be listed: %s%s", r.text, r.why())
	}
	return err
}

// mark is how a delivery is found among the requests of a server.
func mark311(id string) string { return "[gridgate " + id + "]" }

func service311Of(u grid.Unit, e grid.EventType) string {
	return cmp.Or(u.Settings["service."+string(e)], u.Settings["service.default"])
}

// endpoint is a resource of the server, in the unit's form.
func endpoint311(u grid.Unit, path string, q url.Values) string {
	out := strings.TrimSuffix(u.URL, "/") + "/" + path + "." + cmp.Or(u.Settings["format"], "json")
	if j := u.Settings["jurisdiction_id"]; j != "" {
		q.Set("jurisdiction_id", j)
	}
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	return out
}

// lookupSlack is how far the server's clock may be behind ours.
const lookupSlack = time.Hour

// lookup asks for the request of d. A server that does not let requests be listed (4xx)
// has none; one that is ill is an error, and would be as ill for the POST.
func (o *Open311) lookup(ctx context.Context, u grid.Unit, d grid.Delivery, b bodyData) (grid.Receipt, bool, error) {
	q := url.Values{"service_code": {service311Of(u, b.Event)}, "start_date": {d.Created.Add(-lookupSlack).UTC().Format(time.RFC3339)}}
	r, err := o.get(ctx, u, endpoint311(u, "requests", q))
	switch {
	case err != nil:
		return r.receipt311(), false, fmt.Errorf("unit %s: requests cannot be listed: %w", u.ID, err)
	case r.status >= 400 && r.status < 500:
		return grid.Receipt{}, false, nil
	case r.status != http.StatusOK:
		return r.receipt311(), false, fmt.Errorf("unit %s: requests cannot be listed: %s%s", u.ID, r.text, r.why())
	}
	list, err := r.requests()
	if err != nil {
		return r.receipt311(), false, fmt.Errorf("unit %s: %w", u.ID, err)
	}
	i := slices.IndexFunc(list, func(q request311) bool { return strings.Contains(string(q.Description), mark311(d.ID)) && q.ID != "" })
	if i < 0 {
		return grid.Receipt{}, false, nil
	}
	return grid.Receipt{Status: r.status, Took: r.took, Ref: printable(string(list[i].ID), 64), Detail: "it was there already"}, true, nil
}

func (o *Open311) get(ctx context.Context, u grid.Unit, address string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return reply{}, grid.Errorf(grid.Invalid, "unit %s: request: %w", u.ID, bare(err))
	}
	req.Header.Set("User-Agent", "gridgate")
	return call(o.client, req)
}

// receipt311 is the receipt of an answer that may not have come.
func (r reply) receipt311() grid.Receipt {
	if r.status == 0 {
		return grid.Receipt{Took: r.took}
	}
	return r.receipt()
}

func (o *Open311) create(ctx context.Context, u grid.Unit, d grid.Delivery, b bodyData) (grid.Receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint311(u, "requests", url.Values{}), strings.NewReader(form311(u, d, b).Encode()))
	if err != nil {
		return grid.Receipt{}, grid.Errorf(grid.Invalid, "unit %s: request: %w", u.ID, bare(err))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("User-Agent", "gridgate")
	r, err := call(o.client, req)
	receipt := r.receipt311()
	switch {
	case err != nil:
		return receipt, fmt.Errorf("unit %s: %w", u.ID, err)
	case r.status == http.StatusGone:
		return receipt, fmt.Errorf("%w: unit %s answers %s", ErrNever, u.ID, r.text)
	case r.status != http.StatusOK && r.status != http.StatusCreated:
		return receipt, fmt.Errorf("unit %s answers %s%s", u.ID, r.text, r.why())
	}
	list, err := r.requests()
	switch {
	case err != nil:
		return receipt, fmt.Errorf("unit %s: %w", u.ID, err)
	case len(list) != 1:
		return receipt, fmt.Errorf("unit %s answers with %d requests: want the one that was made", u.ID, len(list))
	case list[0].ID != "":
		receipt.Ref = printable(string(list[0].ID), 64)
	case list[0].Token != "":
		receipt.Ref = tokenRef + printable(string(list[0].Token), 64)
	}
	return receipt, nil // of type "blackbox", where it has neither
}

const tokenRef = "token:"

// form311 is the request as POST takes it.
func form311(u grid.Unit, d grid.Delivery, b bodyData) url.Values {
	zh, en := languages(b.Title)
	said := made311[d.Type] + zh
	if en != zh {
		said += " / " + en
	}
	said += "\n" + b.Place.Words + "\n" + b.Priority + ", case " + cmp.Or(b.Case, b.Ticket)
	if b.Note != "" {
		said += "\n" + b.Note
	}
	if d.Mode != grid.Live {
		said = "NO REAL INCIDENT (" + string(d.Mode) + "): " + said
	}
	f := url.Values{
		"api_key": {u.Secret}, "service_code": {service311Of(u, b.Event)}, "address_string": {b.Place.Words},
		"description": {first(said, 3900) + "\n" + mark311(d.ID)}, // at most 4,000 characters in all
	}
	if j := u.Settings["jurisdiction_id"]; j != "" {
		f.Set("jurisdiction_id", j)
	}
	if b.Place.Lat != nil && b.Place.Lon != nil {
		f.Set("lat", strconv.FormatFloat(*b.Place.Lat, 'f', 6, 64))
		f.Set("long", strconv.FormatFloat(*b.Place.Lon, 'f', 6, 64))
	}
	return f
}

// first gives the first n characters of s.
func first(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// batch311 is how many requests are asked for at once.
const batch311 = 50

// Words asks what became of the requests of open deliveries. It gives what could be read
// beside the error.
func (o *Open311) Words(ctx context.Context, u grid.Unit, open []grid.Delivery) (words []Word, err error) {
	byID := map[string]grid.Delivery{}
	var errs []error
	for _, d := range open {
		id := d.Ref
		if token, ok := strings.CutPrefix(d.Ref, tokenRef); ok {
			if id, err = o.resolve(ctx, u, token); err != nil {
				errs = append(errs, err)
			}
		}
		if id != "" {
			byID[id] = d
		}
	}
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, batch311) {
		list, err := o.status(ctx, u, part)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, r := range list {
			if d, ok := byID[string(r.ID)]; ok {
				words = append(words, word311(d, r))
			}
		}
	}
	return words, errors.Join(errs...)
}

// resolve asks for the id behind a token, "" while there is none.
func (o *Open311) resolve(ctx context.Context, u grid.Unit, token string) (string, error) {
	r, err := o.get(ctx, u, endpoint311(u, "tokens/"+url.PathEscape(token), url.Values{}))
	switch {
	case err != nil:
		return "", fmt.Errorf("unit %s: token: %w", u.ID, err)
	case r.status == http.StatusNotFound:
		return "", nil
	case r.status != http.StatusOK:
		return "", fmt.Errorf("unit %s: token: %s%s", u.ID, r.text, r.why())
	}
	list, err := r.requests()
	if err != nil || len(list) != 1 {
		return "", errors.Join(err, fmt.Errorf("unit %s: token: %d requests: want one", u.ID, len(list)))
	}
	return string(list[0].ID), nil
}

func (o *Open311) status(ctx context.Context, u grid.Unit, ids []string) ([]request311, error) {
	r, err := o.get(ctx, u, endpoint311(u, "requests", url.Values{"service_request_id": {strings.Join(ids, ",")}}))
	switch {
	case err != nil:
		return nil, fmt.Errorf("unit %s: %w", u.ID, err)
	case r.status != http.StatusOK:
		return nil, fmt.Errorf("unit %s answers %s%s", u.ID, r.text, r.why())
	}
	list, err := r.requests()
	if err != nil {
		return nil, fmt.Errorf("unit %s: %w", u.ID, err)
	}
	return list, nil
}

// word311 reads a request as the unit's word. "closed" is done; an open one on which the
// unit has noted something is accepted.
func word311(d grid.Delivery, r request311) Word {
	notes := printable(string(r.StatusNotes), 1000)
	w := Word{Delivery: d, Said: strings.TrimSpace(fmt.Sprintf("Open311 %s: %s %s", printable(string(r.ID), 64), printable(string(r.Status), 32), notes))}
	switch {
	case strings.EqualFold(string(r.Status), "closed"):
		w.Verb = grid.VerbResolve
	case notes != "":
		w.Verb = grid.VerbAccept
	}
	return w
}
