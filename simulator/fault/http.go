package fault

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Answers are how an HTTP server is at the moment, seen from its clients. The zero value
// passes everything on.
type Answers struct {
	Status     int           // answered in the server's place; 0: the server answers
	Body       string        //
	RetryAfter int           // seconds, as the header says it
	Wait       time.Duration // before a request is passed on or answered
	Cut        Cut           // where a connection breaks
	Partial    int           // one of so many lines of a write is refused, the others are written; 0: all are
	Writes     bool          // only what writes suffers (POST and PUT of something); else everything
}

// Cut says where an exchange is cut off.
type Cut int

const (
	Whole      Cut = iota // nowhere
	CutRequest            // in the middle of the request's body: the server has it not, or half
	CutAnswer             // after the server has done its work, in the middle of its answer
	Refused               // before anything is read
)

// HTTP stands before an HTTP server.
type HTTP struct {
	to     *url.URL
	near   net.Listener
	server *http.Server
	proxy  *httputil.ReverseProxy
	client *http.Transport
	work   sync.WaitGroup
	end    context.CancelFunc

	mu  sync.Mutex
	now Answers

	Passed, Answered, Broken atomic.Int64
}

// mostBody is the longest request that is taken into the hand.
const mostBody = 64 << 20

// OpenHTTP stands before a server, on a free port of loopback.
func OpenHTTP(to string) (*HTTP, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	near, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	quiet := log.New(io.Discard, "", 0)
	h := &HTTP{to: u, near: near, end: cancel, client: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}}
	h.proxy = &httputil.ReverseProxy{Transport: h.client, ErrorLog: quiet,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = u.Scheme, u.Host, r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }} // as if the server itself were away
	h.server = &http.Server{Handler: h, ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	h.work.Go(func() { h.server.Serve(near) }) // until Close
	return h, nil
}

// Addr is where it listens, URL the same as an address.
func (h *HTTP) Addr() string { return h.near.Addr().String() }
func (h *HTTP) URL() string  { return "http://" + h.Addr() }

// Change changes how the server is from the next request on.
func (h *HTTP) Change(f func(*Answers)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(&h.now)
}

// Close ends it.
func (h *HTTP) Close() {
	h.end()
	h.server.Close()
	h.client.CloseIdleConnections()
	h.work.Wait()
}

// ServeHTTP is the proxy.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	a := h.now
	h.mu.Unlock()
	if a.Writes && (r.Method != http.MethodPost && r.Method != http.MethodPut || strings.HasSuffix(r.URL.Path, "/query")) {
		a = Answers{}
	}
	if a.Cut == Refused {
		h.Broken.Add(1)
		abort(w)
	}
	if a.Wait > 0 {
		timer := time.NewTimer(a.Wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case a.Cut == CutRequest:
		h.Broken.Add(1)
		h.cutRequest(w, r)
	case a.Cut == CutAnswer:
		h.Broken.Add(1)
		h.cutAnswer(w, r)
	case a.Partial > 0:
		h.Answered.Add(1)
		h.partly(w, r, a.Partial)
	case a.Status != 0:
		h.Answered.Add(1)
		io.Copy(io.Discard, io.LimitReader(r.Body, mostBody)) // a sender that is not read out may not hear the answer
		w.Header().Set("Content-Type", "application/json")
		said(w, a.Body)
		if a.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(a.RetryAfter))
		}
		w.WriteHeader(a.Status)
		io.WriteString(w, a.Body)
	default:
		h.Passed.Add(1)
		h.proxy.ServeHTTP(w, r)
	}
}

// said repeats an error in the header, where InfluxDB 1.8 has it too and clients look first.
func said(w http.ResponseWriter, body string) {
	var x struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(body), &x) == nil && x.Error != "" {
		w.Header().Set("X-Influxdb-Error", x.Error)
	}
}

// abort ends a connection with RST, without an answer.
func abort(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if t, ok := conn.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// half of what there is, and then an error.
type half struct {
	r    io.Reader
	left int64
}

var errHalf = errors.New("cut off")

func (x *half) Read(b []byte) (int, error) {
	if x.left <= 0 {
		return 0, errHalf
	}
	n, err := x.r.Read(b[:min(int64(len(b)), x.left)])
	x.left -= int64(n)
	return n, err
}

// cutRequest passes half of the body on, and then both sides are cut off.
func (h *HTTP) cutRequest(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	out := r.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = h.to.Scheme, h.to.Host
	out.Body = io.NopCloser(&half{r.Body, max(1, r.ContentLength/2)})
	if res, err := h.client.RoundTrip(out); err == nil { // it has answered half a request
		res.Body.Close()
	}
	abort(w)
}

// cutAnswer lets the server do its work, and loses what it says of it.
func (h *HTTP) cutAnswer(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = h.to.Scheme, h.to.Host
	if res, err := h.client.RoundTrip(out); err == nil {
		io.Copy(io.Discard, io.LimitReader(res.Body, mostBody))
		res.Body.Close()
	}
	abort(w)
}

// lines is a request's body in plain.
func lines(r *http.Request) ([]byte, error) {
	body := io.LimitReader(r.Body, mostBody)
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(body)
	}
	plain, err := gzip.NewReader(body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(plain, mostBody))
}

// partly writes all lines but every n-th and says so, as InfluxDB 1.8 does.
func (h *HTTP) partly(w http.ResponseWriter, r *http.Request, n int) {
	body, err := lines(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var kept bytes.Buffer
	dropped, seen := 0, 0
	for line := range strings.Lines(string(body)) {
		if text := strings.TrimSpace(line); text != "" && text[0] != '#' {
			if seen++; seen%n == 0 {
				dropped++
				continue
			}
		}
		kept.WriteString(line)
	}
	out := r.Clone(r.Context())
	out.RequestURI, out.ContentLength = "", int64(kept.Len())
	out.URL.Scheme, out.URL.Host = h.to.Scheme, h.to.Host
	out.Body = io.NopCloser(&kept)
	out.Header.Del("Content-Encoding")
	if dropped == 0 || seen == dropped {
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		dropped = 0
	}
	res, err := h.client.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	if dropped == 0 || res.StatusCode/100 != 2 {
		w.WriteHeader(res.StatusCode)
		io.Copy(w, io.LimitReader(res.Body, mostBody))
		return
	}
	body = fmt.Appendf(nil, `{"error":"partial write: max-values-per-tag limit exceeded (100000/100000): measurement=\"gridsim\" tag=\"point\" dropped=%d"}`+"\n", dropped)
	w.Header().Set("Content-Type", "application/json")
	said(w, string(body))
	w.WriteHeader(http.StatusBadRequest)
	w.Write(body)
}
