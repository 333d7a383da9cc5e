package api

import (
	"fmt"
	"testing"

	"gridgate/internal/grid"
)

// withLinks is a world with one listener and n peers, every third of which is down.
func withLinks(t *testing.T, n int) *world {
	w := newWorld(t)
	w.server.Links = func() []grid.LinkHealth {
		return []grid.LinkHealth{{Name: "coap.udp", Kind: grid.ListenerLink, Up: true, Since: t0, Peers: n}}
	}
	w.server.Peers = func(link string) ([]grid.LinkHealth, error) {
		if link != "coap.udp" {
			return nil, grid.Errorf(grid.NotFound, "transport %s: not found", link)
		}
		var out []grid.LinkHealth
		for i := range n {
			i = n - 1 - i // as heard, not by name
			out = append(out, grid.LinkHealth{Name: fmt.Sprintf("10.0.0.%04d", i), Device: grid.Identity(fmt.Sprintf("sn:%d", i)), Up: i%3 > 0})
		}
		return append(out, out[0]), nil // two connections may share a name
	}
	return w
}

func TestPeersPageToTheEndByNameAndEachComesOnce(t *testing.T) {
	w := withLinks(t, 2500)
	links, err := w.client(admin).Links(t.Context())
	if err != nil || len(links.Items) != 1 || links.Items[0].Name != "coap.udp" || !links.Items[0].Since.Equal(t0) {
		t.Fatalf("links are %+v, %v", links, err)
	}
	var names []string
	for q := (Query{Limit: 1000}); ; {
		page, err := w.client(admin).Peers(t.Context(), "coap.udp", q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Items {
			names = append(names, p.Name)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if len(names) != 2501 || names[0] != "10.0.0.0000" || names[2499] != "10.0.0.2499" || names[2500] != "10.0.0.2499" {
		t.Errorf("%d peers, from %s to %s", len(names), names[0], names[len(names)-1])
	}
	if page, err := w.client(admin).Peers(t.Context(), "coap.udp", Query{Limit: 2500}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a limit of 2500 gets %d peers, %v", len(page.Items), err)
	}
	if page, err := w.client(admin).Peers(t.Context(), "coap.udp", Query{Limit: 1, Text: "sn:2499"}); err != nil || len(page.Items) != 2 || page.Next != "" {
		t.Errorf("those that share a name are %+v, %v: want both on one page", page, err)
	}
}

func TestPeersAreFoundByStateAndText(t *testing.T) {
	w := withLinks(t, 9)
	for _, c := range []struct {
		q    Query
		want int
	}{
		{Query{State: "down"}, 3}, {Query{State: "up"}, 7}, {Query{Text: "sn:4"}, 1}, {Query{Text: "0.0004"}, 1}, {Query{Text: "nobody"}, 0},
	} {
		page, err := w.client(admin).Peers(t.Context(), "coap.udp", c.q)
		if err != nil || len(page.Items) != c.want {
			t.Errorf("%+v gets %d peers, %v: want %d", c.q, len(page.Items), err, c.want)
		}
	}
	if _, err := w.client(admin).Peers(t.Context(), "mqtt.nowhere", Query{}); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("an unknown link gets %v", err)
	}
	if _, err := w.client("fire-token").Links(t.Context()); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("a unit gets %v", err)
	}
}
