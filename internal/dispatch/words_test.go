package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

// What people write, and what names things, goes out as words and nothing else.
const (
	wordsTold  = "Z]]>&\"'</content></description><evil>x</evil><!--&lt;\r\nBcc: all@evil.example\r\n\r\n.\r\n&content=x&api_key=y\",\"at\":{\"isAtAll\":true},\"z\":\"{{.Secret}}\u202egnp\x00\x1b[31m"
	placeTold  = "[click](http://evil.example)<@all><font color=\"warning\">**fire**</font>\r\n# 12"
	deedTold   = "=cmd|' /C calc'!A1"
	headerTold = "\r\nX-Evil: 1"
)

func hostileWords(m *dispatch.Message) {
	m.Note, m.Ticket.Title, m.Ticket.Place = wordsTold, "烟感"+wordsTold+" / Smoke"+wordsTold, wordsTold
	m.Point.Name, m.Point.Room, m.Point.Building, m.Point.Floor = wordsTold, wordsTold, placeTold, deedTold
	m.Ticket.Case = "CN-1" + headerTold
}

func TestWordsOfPeopleStayWordsInEveryConnectorThatIsData(t *testing.T) {
	specs, err := dispatch.LoadTemplates(connectorData(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		spec := specs[name]
		var asked []*http.Request
		var bodies []string
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			asked, bodies = append(asked, r), append(bodies, string(b))
			io.WriteString(w, `{"errcode":0,"code":0,"access_token":"t","token":"t","expires_in":7200}`)
		})
		settings := map[string]string{}
		for _, n := range slices.Concat(spec.Settings.Required, spec.Settings.Optional) {
			settings[n] = "x"
		}
		u := grid.Unit{Settings: settings}
		if spec.URL == "required" {
			u.URL = s.URL + "/?a=b"
		}
		if spec.Secret != "none" {
			u.Secret = "s"
		}
		var shapes []string
		for _, d := range []grid.Delivery{delivered("D1", "ticket.opened", func(m *dispatch.Message) { m.Note = "a note" }), delivered("D1", "ticket.opened", hostileWords)} {
			asked, bodies = nil, nil
			_, err := templateTo(t, spec, u).Deliver(t.Context(), d)
			if len(asked) == 0 {
				t.Fatalf("%s: nothing is sent: %v", name, err)
			}
			shape := ""
			for i, r := range asked {
				shape += shapeOf(t, name, r, bodies[i]) + "\n"
			}
			shapes = append(shapes, shape)
		}
		if shapes[0] != shapes[1] {
			t.Errorf("%s: with hostile words what is sent is of another form:\n%s\nand with tame ones:\n%s", name, shapes[1], shapes[0])
		}
		for _, b := range bodies {
			if spec.Audience == "group" && (strings.Count(b, "](") > 1 || strings.Contains(b, "http://evil") || strings.Contains(b, `\u003c`) || strings.Contains(b, "**")) && name != "feishu" { // whose text is text
				t.Errorf("%s: a building's name is markdown: %s", name, b)
			}
		}
	}
}

// shapeOf is the form of a request without what it says: names of fields, of elements, of headers.
func shapeOf(t *testing.T, name string, r *http.Request, body string) string {
	t.Helper()
	query := slices.Sorted(maps.Keys(r.URL.Query()))
	out := fmt.Sprint(r.Method, " ", r.URL.Path, " ", query, " ", slices.Sorted(maps.Keys(r.Header)), " ")
	switch kind := r.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/json"):
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Errorf("%s: %v: %s", name, err, body)
		}
		return out + fields(v)
	case strings.Contains(kind, "xml"):
		return out + elements(t, name, body)
	case strings.Contains(kind, "form"):
		form, err := url.ParseQuery(body)
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, body)
		}
		for k, v := range form {
			out += fmt.Sprint(k, len(v), " ")
		}
		words := strings.Fields(out)
		slices.Sort(words)
		return strings.Join(words, " ")
	}
	return out + body
}

func fields(v any) string {
	switch v := v.(type) {
	case map[string]any:
		out := "{"
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out += k + ":" + fields(v[k]) + " "
		}
		return out + "}"
	case []any:
		out := "["
		for _, x := range v {
			out += fields(x) + " "
		}
		return out + "]"
	}
	return fmt.Sprintf("%T", v)
}

func elements(t *testing.T, name, text string) string {
	t.Helper()
	out := ""
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		tok, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Errorf("%s is no XML: %v: %s", name, err, text)
			return out
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			out += "<" + tok.Name.Local + fmt.Sprint(len(tok.Attr)) + ">"
		case xml.EndElement:
			out += "</>"
		case xml.Comment, xml.Directive:
			out += "!"
		}
	}
}

func TestWordsOfPeopleStayWordsInCAPMailAndOpen311(t *testing.T) {
	tame, wild := delivered("D1", "ticket.opened", func(m *dispatch.Message) { m.Note = "a note" }), delivered("D1", "ticket.opened", hostileWords)
	if a, b := elements(t, "CAP", string(alertOf(t, tame, nil))), elements(t, "CAP", string(alertOf(t, wild, nil))); a != b {
		t.Errorf("CAP with hostile words is %s, and with tame ones %s", b, a)
	}

	p := newPost(t)
	if _, err := mailTo(t, p, nil).Deliver(t.Context(), wild); err != nil {
		t.Fatal(err)
	}
	m := p.letters[0]
	for name := range m.Header {
		if name == "Bcc" || name == "X-Evil" {
			t.Errorf("a word has become the header %s: %q", name, m.Header[name])
		}
	}
	s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || strings.ContainsAny(s, "\r\n\x00\x1b\u202e") || len(p.letters) != 1 {
		t.Errorf("%d letters, the subject is %q", len(p.letters), s)
	}

	var form url.Values
	city := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			b, _ := io.ReadAll(r.Body)
			form, _ = url.ParseQuery(string(b))
			io.WriteString(w, `[{"service_request_id":"7"}]`)
			return
		}
		io.WriteString(w, `[]`)
	})
	o := dispatch.NewOpen311(reach(grid.Unit{URL: city.URL, Secret: "key", Settings: map[string]string{"service.default": "FIRE"}}))
	t.Cleanup(o.Close)
	if _, err := o.Deliver(t.Context(), wild); err != nil {
		t.Fatal(err)
	}
	if len(form["api_key"]) != 1 || form.Get("api_key") != "key" || len(form["content"]) != 0 || !strings.Contains(form.Get("description"), "api_key=y") {
		t.Errorf("the form of Open311 is %v", form)
	}
}

func TestWordsOfPeopleStayWordsInTheFaceOfOpen311(t *testing.T) {
	shape := func(words string) string {
		k := grid.Ticket{ID: "T", Title: words, Place: words, Type: grid.EventSmokeAlarm, State: grid.TicketClosed}
		s := dispatch.NewServer311(dispatch.Server311Config{
			Services: &dispatch.Services311{Services: []dispatch.Service311{{Code: "default", Name: words, Keywords: []string{words}}}},
			Ticket:   func(context.Context, string, string) (grid.Ticket, error) { return k, nil },
			Point:    func(context.Context, string) (grid.Point, error) { return grid.Point{Name: words, Address: words}, nil },
		})
		out := ""
		for _, path := range []string{"/open311/v2/requests/T.xml", "/open311/v2/services.xml", "/open311/v2/nothing%3Cevil%3E.xml"} {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil), grid.Actor{})
			out += elements(t, path, w.Body.String()) + "\n"
			if bytes.Contains(w.Body.Bytes(), []byte("<evil>")) {
				t.Errorf("%s: %s", path, w.Body)
			}
		}
		return out
	}
	if a, b := shape("words"), shape(wordsTold); a != b {
		t.Errorf("with hostile words the face is\n%s\nand with tame ones\n%s", b, a)
	}
}
