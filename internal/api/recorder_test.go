package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
)

// recorder keeps what a stream writes.
type recorder struct {
	*httptest.ResponseRecorder
	onWrite func(string)
}

func newRecorder() *recorder { return &recorder{ResponseRecorder: httptest.NewRecorder()} }

func (r *recorder) Write(b []byte) (int, error) {
	if r.onWrite != nil {
		r.onWrite(string(b))
	}
	return r.ResponseRecorder.Write(b)
}

func (r *recorder) writer() *sseWriter { return &sseWriter{w: r, ctl: http.NewResponseController(r)} }

func (r *recorder) messages() (out []Message) {
	for _, block := range strings.Split(r.Body.String(), "\n\n") {
		var m Message
		for _, line := range strings.Split(block, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "event":
				m.Name = value
			case "id":
				m.ID = value
			case "data":
				m.Data = json.RawMessage(value)
			}
		}
		if m.Name != "" {
			out = append(out, m)
		}
	}
	return out
}

func (r *recorder) ids() (out []string) {
	for _, m := range r.messages() {
		if m.Name == "event" {
			out = append(out, m.ID)
		}
	}
	return out
}
