package api

import (
	"context"
	"net/http"
	"net/url"

	"gridgate/internal/grid"
)

// SignOn signs on to a seat.
func (c *Client) SignOn(ctx context.Context, seat string, on SeatSignOn, key string) (SeatView, error) {
	return call[SeatView](ctx, c, http.MethodPost, "/api/v1/seats/"+url.PathEscape(seat)+"/sign-on", nil, &content{json: on, key: key})
}

// SignOff leaves a seat.
func (c *Client) SignOff(ctx context.Context, seat string, off SeatSignOff) (SeatView, error) {
	return call[SeatView](ctx, c, http.MethodPost, "/api/v1/seats/"+url.PathEscape(seat)+"/sign-off", nil, &content{json: off})
}

// TakeAlarm takes an alarm.
func (c *Client) TakeAlarm(ctx context.Context, id string, t Taking) (AlarmView, error) {
	return call[AlarmView](ctx, c, http.MethodPost, "/api/v1/alarms/"+url.PathEscape(id)+"/take", nil, &content{json: t})
}

// GiveBackAlarm gives an alarm back.
func (c *Client) GiveBackAlarm(ctx context.Context, id string, g GivingBack) (AlarmView, error) {
	return call[AlarmView](ctx, c, http.MethodPost, "/api/v1/alarms/"+url.PathEscape(id)+"/give-back", nil, &content{json: g})
}

// Handovers lists handover sheets.
func (c *Client) Handovers(ctx context.Context, q Query) (Page[grid.Handover], error) {
	return call[Page[grid.Handover]](ctx, c, http.MethodGet, "/api/v1/handovers", values(q), nil)
}

// Handover reads one handover sheet.
func (c *Client) Handover(ctx context.Context, id string) (grid.Handover, error) {
	return call[grid.Handover](ctx, c, http.MethodGet, "/api/v1/handovers/"+url.PathEscape(id), nil, nil)
}

// MakeHandover makes a handover sheet now.
func (c *Client) MakeHandover(ctx context.Context, n NewHandover, key string) (grid.Handover, error) {
	return call[grid.Handover](ctx, c, http.MethodPost, "/api/v1/handovers", nil, &content{json: n, key: key})
}

// SignHandover signs a handover sheet.
func (c *Client) SignHandover(ctx context.Context, id string, sign HandoverSignature) (grid.Handover, error) {
	return call[grid.Handover](ctx, c, http.MethodPost, "/api/v1/handovers/"+url.PathEscape(id)+"/sign", nil, &content{json: sign})
}

// HandoverPDF reads a handover sheet to print.
func (c *Client) HandoverPDF(ctx context.Context, id, lang string) ([]byte, error) {
	return do(ctx, c, http.MethodGet, "/api/v1/handovers/"+url.PathEscape(id)+"/sheet.pdf", url.Values{"lang": {lang}}, nil, importWithin)
}

// DutySheet reads the sheet for the day the screens are dark.
func (c *Client) DutySheet(ctx context.Context, street, building, lang string) ([]byte, error) {
	return do(ctx, c, http.MethodGet, "/api/v1/duty/sheet.pdf", url.Values{"street": {street}, "building": {building}, "lang": {lang}}, nil, importWithin)
}

// DutySheetWithNumbers makes the same with people's numbers, for a reason.
func (c *Client) DutySheetWithNumbers(ctx context.Context, n SheetNumbers) ([]byte, error) {
	return do(ctx, c, http.MethodPost, "/api/v1/duty/sheet.pdf", nil, &content{json: n}, importWithin)
}
