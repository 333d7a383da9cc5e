package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// People are how a unit's people work. All times are the city's; each is drawn anew, up to
// a third longer or shorter, by the seed.
type People struct {
	Accept   time.Duration // from the message to "we are coming"
	Travel   time.Duration // on the way; 0: by the distance from Base, at Kmh
	Work     time.Duration // on site until it is put right
	Kmh      float64       // 0 is 20: a scooter in the streets
	Lon, Lat float64       // where they start from
	Finding  string        // "" or honest: as it is; true, false, unable whatever it is; none: no word
	Lies     bool          // the first time they report what they have not done; sent again, they do it
	Helpless bool          // they put nothing right
	NoPhoto  bool
	Silent   bool      // they do not answer at all
	Stops    grid.Verb // accept or arrive: after it no more is heard of them
	Guards   string    // yes or no: their word about the open covers of their permit; "" is none
}

// Truth is what people find at a point who go there.
type Truth struct {
	Fire  bool // it burns; without it smoke is a false alarm
	Stuck bool // nobody can put it right
}

// Behave changes how a unit's system and people are from now on; what is under way goes on
// as it began.
func (u *Units) Behave(unit string, change func(*Behaviour, *People)) error {
	for _, c := range u.crews {
		if c.ID != unit {
			continue
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		var p People
		if c.People != nil {
			p = *c.People
		}
		change(&c.Behaviour, &p)
		c.People = &p
		return nil
	}
	return grid.Errorf(grid.NotFound, "unit is %q: want one that is played", unit)
}

// about is a third more or less of d.
func (c *crew) about(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(float64(d) * (0.67 + 0.66*c.rng.Float64()))
}

// way is how long they are on the way to a place.
func (p *People) way(m message) time.Duration {
	if p.Travel > 0 {
		return p.Travel
	}
	if m.Data.Place.Lon == nil || m.Data.Place.Lat == nil || p.Lon == 0 {
		return 5 * time.Minute
	}
	kmh := p.Kmh
	if kmh <= 0 {
		kmh = 20
	}
	// Streets are a third longer than the bird's way; a flat earth does for a district.
	const kmPerDegree = 111.2
	dy := (*m.Data.Place.Lat - p.Lat) * kmPerDegree
	dx := (*m.Data.Place.Lon - p.Lon) * kmPerDegree * math.Cos(p.Lat*math.Pi/180)
	hours := 1.33 * math.Hypot(dx, dy) / kmh
	return time.Minute + time.Duration(hours*float64(time.Hour))
}

// workAs is what people do about a ticket: say that they come, go there, look, put it right,
// take a photo, report it, and for P1 give their word for it.
func (c *crew) workAs(ctx context.Context, p People, id string, m message) {
	err := func() error {
		if p.Silent {
			return nil
		}
		if err := c.all.cfg.Clock.Sleep(ctx, c.about(p.Accept)); err != nil {
			return err
		}
		if err := c.move(ctx, id, m, answer{Verb: grid.VerbAccept}); err != nil || p.Stops == grid.VerbAccept {
			return err
		}
		lies := p.Lies && m.Data.Attempt <= 1
		if !lies {
			if err := c.all.cfg.Clock.Sleep(ctx, c.about(p.way(m))); err != nil {
				return err
			}
		}
		if err := c.move(ctx, id, m, answer{Verb: grid.VerbArrive, OnSite: true}); err != nil || p.Stops == grid.VerbArrive {
			return err
		}
		return c.onSite(ctx, p, lies, id, m)
	}()
	if err != nil && ctx.Err() == nil {
		c.say("stopped", m, "stops work on ticket %s: %v", m.Data.Ticket, err)
	}
}

// onSite is what they do there.
func (c *crew) onSite(ctx context.Context, p People, lies bool, id string, m message) error {
	if err := c.findAs(ctx, p, id, m); err != nil {
		return err
	}
	if !lies {
		if err := c.all.cfg.Clock.Sleep(ctx, c.about(p.Work)); err != nil {
			return err
		}
		if !p.Helpless {
			if err := c.putAllRight(ctx, m); err != nil {
				return err
			}
		}
	}
	evidence := "现场处置完毕 / done, seen on site"
	if !p.NoPhoto {
		if file, err := c.photo(ctx, m); err == nil {
			evidence = file
		} else if ctx.Err() == nil {
			c.say("no photo", m, "cannot send a photo: %v", err)
		}
	}
	if err := c.move(ctx, id, m, answer{Verb: grid.VerbResolve, OnSite: true, Evidence: evidence, Reason: "已处置 / put right"}); err != nil {
		return err
	}
	if !m.Data.Lead || m.Data.Priority != "P1" {
		return nil
	}
	return c.move(ctx, id, m, answer{Verb: grid.VerbConfirm, OnSite: true, Evidence: evidence})
}

// findAs is the word of the first on site on whether it burns.
func (c *crew) findAs(ctx context.Context, p People, id string, m message) error {
	if !m.Data.Lead || !strings.HasPrefix(m.Data.Event, "smoke.") || p.Finding == "none" {
		return nil
	}
	finding := p.Finding
	if finding == "" || finding == "honest" {
		finding = string(grid.VerifiedFalse)
		if look := c.all.cfg.Look; look != nil && look(m.Data.Place.Point).Fire {
			finding = string(grid.VerifiedTrue)
		}
	}
	word := map[string]string{"true": "现场核实：确有火情 / seen on site: there is a fire", "false": "现场核实：无火情 / seen on site: no fire", "unable": "敲门无人应答 / nobody opens"}[finding]
	return c.move(ctx, id, m, answer{Verb: grid.VerbVerify, Finding: finding, OnSite: true, Reason: word})
}

// putAllRight puts the point of a ticket right, and those of what joined it since.
func (c *crew) putAllRight(ctx context.Context, m message) error {
	if !m.Data.Lead || c.all.cfg.Restore == nil {
		return nil
	}
	points := []string{}
	if m.Data.Place.Point != "" {
		points = append(points, m.Data.Place.Point)
	}
	var t struct {
		Members []struct {
			Point string `json:"point"`
		} `json:"members"`
	}
	if err := c.ask(ctx, http.MethodGet, m, "", nil, &t); err != nil {
		c.say("cannot read", m, "cannot read ticket %s: %v", m.Data.Ticket, err) // the check will show it
	}
	for _, x := range t.Members {
		points = append(points, x.Point)
	}
	done := map[string]bool{}
	for _, p := range points {
		if done[p] || p == "" {
			continue
		}
		done[p] = true
		if err := c.all.cfg.Restore(ctx, p, c.ID); err != nil {
			c.say("cannot", m, "cannot put %s right: %v", p, err)
		}
	}
	return ctx.Err()
}

// guard answers the question of a permit.
func (c *crew) guard(ctx context.Context, p People, m message) {
	if p.Guards == "" {
		return
	}
	if c.all.cfg.Clock.Sleep(ctx, c.about(p.Accept)) != nil {
		return
	}
	body, _ := json.Marshal(map[string]string{"answer": p.Guards}) // two strings
	base, _, ok := strings.Cut(m.Data.CallbackURL, "/api/v1/")
	if api := c.all.cfg.API; api != "" {
		base, ok = strings.TrimSuffix(api, "/"), true
	}
	if !ok {
		c.say("cannot", m, "cannot answer a permit's question: its message has no callback_url")
		return
	}
	if err := c.send(ctx, http.MethodPost, base+"/api/v1/permits/"+m.Data.Case+"/answer", body, "application/json", nil); err != nil {
		c.say("cannot", m, "cannot answer the question of a permit: %v", err)
		return
	}
	c.say("guards", m, "answers %s: guarded? (%s)", p.Guards, m.Data.Title)
}

// photo makes a picture of the place, keeps it with the ticket and names it as evidence.
func (c *crew) photo(ctx context.Context, m message) (string, error) {
	var f struct {
		ID string `json:"id"`
	}
	if err := c.ask(ctx, http.MethodPost, m, "/evidence?shows=after", picture(m.Data.Ticket+c.ID), &f); err != nil {
		return "", err
	}
	return "file:" + f.ID, nil
}

// picture is a small photo that differs by what it is of: a sky, a wall, the ground.
func picture(of string) []byte {
	h := fnv.New32a()
	io.WriteString(h, of)
	n := h.Sum32()
	img := image.NewRGBA(image.Rect(0, 0, 96, 72))
	for y := range 72 {
		for x := range 96 {
			c := color.RGBA{uint8(140 + n%60), uint8(150 + n>>8%50), uint8(170 + n>>16%50), 255}
			if y > 44 {
				c = color.RGBA{uint8(80 + (x+int(n))%16), uint8(78 + n>>4%20), uint8(70 + n>>12%20), 255}
			} else if x > int(n%40)+10 && x < int(n%40)+50 && y > 14 {
				c = color.RGBA{uint8(150 + n>>20%70), uint8(110 + (y*int(n>>24))%30), 90, 255}
			}
			img.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	jpeg.Encode(&b, img, &jpeg.Options{Quality: 70}) // into memory: no error
	return b.Bytes()
}

// ask asks the gateway about the ticket of m.
func (c *crew) ask(ctx context.Context, method string, m message, what string, body []byte, out any) error {
	url := strings.TrimSuffix(m.Data.CallbackURL, "/moves")
	if api := c.all.cfg.API; api != "" {
		url = strings.TrimSuffix(api, "/") + "/api/v1/tickets/" + m.Data.Ticket
	}
	return c.send(ctx, method, url+what, body, "application/octet-stream", out)
}

// send tries a few times: a gateway may be away for a moment.
func (c *crew) send(ctx context.Context, method, url string, body []byte, kind string, out any) error {
	var err error
	for pause := 100 * time.Millisecond; pause < 4*time.Second; pause *= 2 {
		var again bool
		if again, err = c.sendOnce(ctx, method, url, body, kind, out); !again {
			return err
		}
		if sleep(ctx, pause) != nil {
			return ctx.Err()
		}
	}
	return err
}

func (c *crew) sendOnce(ctx context.Context, method, url string, body []byte, kind string, out any) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := c.all.client.Do(req)
	if err != nil {
		return true, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return true, err
	case res.StatusCode/100 != 2:
		return res.StatusCode/100 == 5, fmt.Errorf("answered %d: %s", res.StatusCode, bytes.TrimSpace(answer))
	case out == nil:
		return false, nil
	}
	return false, json.Unmarshal(answer, out)
}
