package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func TestFaceIsServedToWhoeverHasAToken(t *testing.T) {
	who := func(_ context.Context, token string) (grid.Actor, error) {
		if token != "good" {
			return grid.Actor{}, grid.Errorf(grid.Unauthorized, "whose token")
		}
		return grid.Actor{Role: grid.RoleUnit, Name: "u"}, nil
	}
	s := httptest.NewServer((&Server{Deps: Deps{Who: who}}).face(Face{
		Path: "/face/", Key: func(r *http.Request) string { return r.URL.Query().Get("api_key") },
		Serve: func(w http.ResponseWriter, r *http.Request, by grid.Actor) {
			if _, err := io.ReadAll(r.Body); err != nil {
				http.Error(w, "too long", http.StatusRequestEntityTooLarge)
				return
			}
			io.WriteString(w, by.Name)
		},
	}))
	defer s.Close()
	for name, c := range map[string]struct {
		path  string
		token func(*http.Request)
		body  string
		want  int
	}{
		"bearer":         {path: "/face/x", token: func(r *http.Request) { r.Header.Set("Authorization", "Bearer good") }, want: 200},
		"basic":          {path: "/face/x", token: func(r *http.Request) { r.SetBasicAuth("anyone", "good") }, want: 200},
		"key":            {path: "/face/x?api_key=good", want: 200},
		"none":           {path: "/face/x", want: 401},
		"wrong":          {path: "/face/x?api_key=bad", want: 401},
		"wrong bearer":   {path: "/face/x?api_key=good", token: func(r *http.Request) { r.Header.Set("Authorization", "Bearer bad") }, want: 401},
		"a body too big": {path: "/face/x?api_key=good", body: strings.Repeat("x", 2<<20), want: 413},
	} {
		req, _ := http.NewRequest("POST", s.URL+c.path, strings.NewReader(c.body))
		if c.token != nil {
			c.token(req)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want || c.want == 200 && string(said) != "u" {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, said, c.want)
		}
	}
}
