package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// statusOf is the one table from error code to HTTP status. The reverse also names the
// problems that the HTTP layer finds itself (validation is 422, a body too large 413).
var statusOf = [...]struct {
	code   grid.Code
	status int
}{
	{grid.Invalid, http.StatusUnprocessableEntity},
	{grid.NotFound, http.StatusNotFound},
	{grid.Conflict, http.StatusConflict},
	{grid.Unauthorized, http.StatusUnauthorized},
	{grid.Forbidden, http.StatusForbidden},
	{grid.Unavailable, http.StatusServiceUnavailable},
	{grid.Internal, http.StatusInternalServerError},
	{grid.CodeWanted, http.StatusUnauthorized},
	{grid.ChangeWanted, http.StatusForbidden},
	{grid.TooMany, http.StatusTooManyRequests},
}

func status(code grid.Code) int {
	for _, row := range statusOf {
		if row.code == code {
			return row.status
		}
	}
	return http.StatusInternalServerError
}

// codeOf is the reverse of status; statuses outside the table fall to the nearest code.
func codeOf(status int) grid.Code {
	for _, row := range statusOf {
		if row.status == status {
			return row.code
		}
	}
	if status >= 400 && status < 500 {
		return grid.Invalid
	}
	return grid.Internal
}

const problemType = "urn:gridgate:problem:"

// problem makes RFC 9457 problem details of an error.
func problem(err error) *huma.ErrorModel {
	if errors.Is(err, context.DeadlineExceeded) {
		err = grid.Errorf(grid.Unavailable, "not answered in time: %w", err)
	}
	code := grid.CodeOf(err)
	return &huma.ErrorModel{
		Type:   problemType + string(code),
		Title:  http.StatusText(status(code)),
		Status: status(code),
		Detail: err.Error(),
	}
}

// nameProblem gives the problems that the HTTP layer finds itself their type.
func nameProblem(hc huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*huma.ErrorModel)
	if ok && p.Type == "" {
		p.Type = problemType + string(codeOf(p.Status))
	}
	if ok && maySayASecret(hc.Operation().Path) {
		for i := range p.Errors {
			p.Errors[i].Value = nil // what was wrong is quoted, and may be the secret or hold it
		}
	}
	return v, nil
}

// maySayASecret reports whether what is sent to a path may have a secret in it.
func maySayASecret(path string) bool {
	for _, begin := range []string{"/api/v1/session", "/api/v1/users", "/api/v1/tokens"} {
		if strings.HasPrefix(path, begin) {
			return true
		}
	}
	for _, end := range []string{"/codes/read", "/claim", "/replace", "/credentials"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// writeProblem answers outside the routes of the OpenAPI document.
func writeProblem(w http.ResponseWriter, err error) {
	p := problem(err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) // the client is gone if this fails
}

// refuse answers in a middleware of the routes.
func refuse(ctx huma.Context, err error) {
	p := problem(err)
	ctx.SetHeader("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="gridgate"`)
	}
	ctx.SetStatus(p.Status)
	json.NewEncoder(ctx.BodyWriter()).Encode(p)
}
