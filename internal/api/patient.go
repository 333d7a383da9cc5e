package api

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// inTime writes what is streamed to somebody who has to take each part of it in time. What is read
// for him meanwhile, rows of the state and an open file, is held no longer than he reads.
type inTime struct {
	w   io.Writer
	ctl *http.ResponseController
}

// readInTime is the body of an answer whose whole length nobody knows.
func readInTime(hc huma.Context) io.Writer {
	_, w := humago.Unwrap(hc)
	return &inTime{hc.BodyWriter(), http.NewResponseController(w)}
}

func (o *inTime) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		if err = o.ctl.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return n, err
		}
		var some int
		some, err = o.w.Write(b[:min(len(b), 64<<10)])
		n, b = n+some, b[some:]
	}
	return n, err
}
