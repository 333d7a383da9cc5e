package console

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func ask(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, h := range Pages() {
		mux.Handle(pattern, h)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// asset finds the first file in the page that ends so.
func asset(t *testing.T, end string) string {
	t.Helper()
	found := regexp.MustCompile(`/assets/[^"]+\` + end).FindString(text(t, ask(t, "/m/")))
	if found == "" {
		t.Fatalf("the page names no %s", end)
	}
	return found
}

func TestThePageIsInTheBinaryAndItsScriptToo(t *testing.T) {
	page := ask(t, "/m/")
	if page.StatusCode != 200 || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("/m/ answers %d %s", page.StatusCode, page.Header.Get("Content-Type"))
	}
	if got := page.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("the page's Cache-Control is %q: a new version would not be seen", got)
	}
	script := ask(t, asset(t, ".js"))
	if script.StatusCode != 200 || !strings.HasPrefix(script.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("the script answers %d %s", script.StatusCode, script.Header.Get("Content-Type"))
	}
	if got := script.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("the script's Cache-Control is %q: want immutable", got)
	}
	if ask(t, "/m").StatusCode != http.StatusMovedPermanently || ask(t, "/m/no-such").StatusCode != 404 {
		t.Error("want /m to lead to /m/, and nothing else under it")
	}
}

func TestAPageThatIsKnownIsNotSentAgain(t *testing.T) {
	for _, path := range []string{"/m/", "/m/sw.js", asset(t, ".js")} {
		for _, encoding := range []string{"", "gzip"} {
			tag := ask(t, path, "Accept-Encoding", encoding).Header.Get("ETag")
			if tag == "" || strings.HasPrefix(tag, "W/") {
				t.Fatalf("%s: ETag is %q: want a strong one", path, tag)
			}
			if got := ask(t, path, "Accept-Encoding", encoding, "If-None-Match", tag).StatusCode; got != http.StatusNotModified {
				t.Errorf("%s: answers %d to its own ETag", path, got)
			}
		}
	}
}

func TestWhatIsSentSmallerIsTheSame(t *testing.T) {
	path := asset(t, ".js")
	plain, small := ask(t, path), ask(t, path, "Accept-Encoding", "gzip")
	if small.Header.Get("Content-Encoding") != "gzip" || small.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Fatalf("Content-Encoding %q with the ETag of the plain form", small.Header.Get("Content-Encoding"))
	}
	r, err := gzip.NewReader(small.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || string(b) != text(t, plain) {
		t.Error("the two forms differ")
	}
}

func TestTheHeadersKeepOthersOut(t *testing.T) {
	h := ask(t, "/m/").Header
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "Permissions-Policy": "camera=(self)", "X-Content-Type-Options": "nosniff",
	} {
		if !strings.Contains(h.Get(name), want) {
			t.Errorf("%s is %q: want %s in it", name, h.Get(name), want)
		}
	}
	if strings.Contains(text(t, ask(t, "/m/")), "://") {
		t.Error("the page names another host")
	}
}
