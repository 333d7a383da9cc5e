package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// slowReader notes how long each part of an answer may take.
type slowReader struct {
	*httptest.ResponseRecorder
	until []time.Time
	parts []int
}

func (w *slowReader) SetWriteDeadline(t time.Time) error { w.until = append(w.until, t); return nil }

func (w *slowReader) Write(b []byte) (int, error) {
	w.parts = append(w.parts, len(b))
	return w.ResponseRecorder.Write(b)
}

func TestWhatIsStreamedIsTakenPartByPartInTime(t *testing.T) {
	w := &slowReader{ResponseRecorder: httptest.NewRecorder()}
	out := &inTime{w, http.NewResponseController(w)}
	began, all := time.Now(), bytes.Repeat([]byte("x"), 200<<10)
	if n, err := out.Write(all); n != len(all) || err != nil || !bytes.Equal(w.Body.Bytes(), all) {
		t.Fatalf("%d of %d bytes are written: %v", n, len(all), err)
	}
	if len(w.parts) != 4 || len(w.until) != 4 {
		t.Fatalf("parts of %v bytes, deadlines %v: want four of each", w.parts, w.until)
	}
	for _, until := range w.until {
		if d := until.Sub(began); d < writeTimeout || d > 2*writeTimeout {
			t.Errorf("a part may take %v, want %v", d, writeTimeout)
		}
	}
}
