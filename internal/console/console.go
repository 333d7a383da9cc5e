// Package console is gridgate's web pages, built from ui/ and carried in the binary: the
// operations console at /, the technician's app at /m/, the inbox of units at /u/. The pages
// hold no data and no secret; what they show they ask of /api/v1 with the person's token.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// dist is committed, so that go build alone gives working pages; make web makes it anew.
//
//go:embed all:dist
var dist embed.FS

// Headers of every answer. The app may use the camera and the position; pages of others
// may not frame it, and no script comes from elsewhere.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
		"worker-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
	"Permissions-Policy":         "camera=(self), geolocation=(self), microphone=(), payment=(), usb=()",
	"X-Content-Type-Options":     "nosniff",
	"Referrer-Policy":            "no-referrer",
	"Cross-Origin-Opener-Policy": "same-origin",
}

// types are those that a system's own table may lack or name otherwise.
var types = map[string]string{
	".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".json": "application/json",
	".png": "image/png", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json",
}

// file is one file as it is answered. gz makes the smaller form once, when it is first
// asked for; it is nil where that is not smaller.
type file struct {
	body  []byte
	kind  string
	tag   string // strong ETag, of the content
	cache string
	gz    func() []byte
}

// pages are all files by their path: "/m/", "/assets/…".
type pages map[string]*file

// Pages are the handlers by pattern of http.ServeMux.
func Pages() map[string]http.Handler {
	p := read(dist)
	return map[string]http.Handler{
		"GET /{$}":     p, // places within the console are the address' hash
		"GET /m/":      p,
		"GET /u/":      p,
		"GET /assets/": p,
		"GET /m":       http.RedirectHandler("/m/", http.StatusMovedPermanently),
		"GET /u":       http.RedirectHandler("/u/", http.StatusMovedPermanently),
	}
}

// read takes the files of a build. An embedded file has no time and cannot fail to be read.
func read(build embed.FS) pages {
	out := pages{}
	root, err := fs.Sub(build, "dist")
	if err != nil {
		panic("console: " + err.Error())
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		at := strings.TrimSuffix("/"+name, "index.html")
		if at == "/console/" {
			at = "/"
		}
		out[at] = newFile(name, body)
		return nil
	})
	if err != nil {
		panic("console: " + err.Error())
	}
	return out
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{body: body, kind: types[path.Ext(name)], tag: hex.EncodeToString(sum[:12]), cache: "no-cache"}
	if f.kind == "" {
		f.kind = mime.TypeByExtension(path.Ext(name))
	}
	if strings.HasPrefix(name, "assets/") {
		f.cache = "public, max-age=31536000, immutable" // its name changes with its content
	}
	f.gz = sync.OnceValue(func() []byte { return smaller(name, body) })
	return f
}

// smaller is the body under gzip, or nil if that is not worth it.
func smaller(name string, body []byte) []byte {
	if path.Ext(name) == ".png" {
		return nil
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(body); err != nil || w.Close() != nil || out.Len() > len(body)*9/10 {
		return nil
	}
	return out.Bytes()
}

func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	f := p[r.URL.Path]
	if f == nil {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	body, tag := f.body, `"`+f.tag+`"`
	w.Header().Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && f.gz() != nil {
		body, tag = f.gz(), `"`+f.tag+`-gz"`
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", f.cache)
	w.Header().Set("ETag", tag)
	// ServeContent answers If-None-Match and ranges; without a time it sends no Last-Modified.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
