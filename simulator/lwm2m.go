package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// omaModels speak LwM2M: a value for each resource that they have (OMA registry).
var omaModels = [...]Model{
	{Profile: "oma/door", Name: "Door contact", Kind: grid.Door, Interval: 24 * time.Hour, Form: Objects, Wire: LwM2M, encode: omaDoor},
	{Profile: "oma/parking", Name: "Parking sensor", Kind: grid.Parking, Interval: 24 * time.Hour, Form: Objects, Wire: LwM2M, encode: omaParking},
	{Profile: "oma/manhole", Name: "Manhole sensor", Kind: grid.Manhole, Interval: 24 * time.Hour, Form: Objects, Wire: LwM2M, encode: omaManhole},
	{Profile: "oma/smoke", Name: "Smoke detector", Kind: grid.Smoke, Interval: 24 * time.Hour, Form: Objects, Wire: LwM2M, encode: omaSmoke},
}

// senmlValue is a record of SenML JSON.
type senmlValue struct {
	Name  string   `json:"n"`
	Value *float64 `json:"v,omitempty"`
	Bool  *bool    `json:"vb,omitempty"`
	Text  *string  `json:"vs,omitempty"`
}

func resource(path string, v any) senmlValue {
	r := senmlValue{Name: path}
	switch v := v.(type) {
	case bool:
		r.Bool = &v
	case int:
		f := float64(v)
		r.Value = &f
	case float64:
		r.Value = &v
	case string:
		r.Text = &v
	}
	return r
}

func omaDoor(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	return -1, plainJSON([]senmlValue{resource("/3342/0/5500", s.Open), resource("/3347/0/5500", s.Test), resource("/3/0/9", s.Battery)})
}

func omaParking(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	return -1, plainJSON([]senmlValue{resource("/3431/0/1", s.Occupied), resource("/3347/0/5500", s.Test), resource("/3/0/9", s.Battery)})
}

// omaManhole: 3408 the cover (1 threshold, 2 tilt, 3 in place), 3435 the fill (3 level in
// cm, 5 full).
func omaManhole(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	return -1, plainJSON([]senmlValue{
		resource("/3408/0/1", 20), resource("/3408/0/2", int(math.Round(math.Abs(s.Tilt)))), resource("/3408/0/3", !s.tipped()),
		resource("/3435/0/3", int(math.Round(s.levelM()*100))), resource("/3435/0/5", s.flooded()), resource("/3/0/9", s.Battery),
	})
}

// omaSmoke: 3407 smoke (6046), 503 temperature (3) in degrees Celsius (1), 3347 the button.
func omaSmoke(s State, _ memory, _ Why, _ time.Time) (int, []byte) {
	return -1, plainJSON([]senmlValue{
		resource("/3407/0/6046", s.Smoke), resource("/503/0/1", 0), resource("/503/0/3", tenth(s.Celsius)),
		resource("/3347/0/5500", s.Test), resource("/3/0/9", s.Battery),
	})
}

// LwM2MConfig says how devices reach the gateway by LwM2M.
type LwM2MConfig struct {
	Addr     string        // host:port, UDP
	Lifetime time.Duration // of a registration, real time; 0 is an hour
	Window   int
	Told     Told
	// Key, if not nil, is the key of a device: Addr is of DTLS.
	Key func(id grid.Identity) []byte
	// Obey, if not nil, takes what the gateway writes and executes.
	Obey func(id grid.Identity, o Order) error
}

// NewLwM2M makes a Link of LwM2M 1.1 clients: a socket and a registration for each device.
func NewLwM2M(cfg LwM2MConfig) *Lanes {
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = time.Hour
	}
	key := func(m Message) string { return string(m.Identity) }
	return newLanes(window(cfg.Window), cfg.Told, key, func(id string) carrier {
		dial := dialUDP(cfg.Addr)
		if cfg.Key != nil {
			dial = dialDTLS(cfg.Addr, id, cfg.Key(grid.Identity(id)))
		}
		c := &lwm2mClient{endpoint: strings.TrimPrefix(id, "ep:"), lifetime: cfg.Lifetime, peer: newCoAPPeer(dial),
			identity: grid.Identity(id), obey: cfg.Obey, values: map[string]senmlValue{}, told: map[string]string{}, observed: map[string]observed{}, wanted: make(chan struct{}, 1)}
		c.peer.request = c.answer
		return c
	})
}

// lwm2mClient is one device.
type lwm2mClient struct {
	endpoint   string
	identity   grid.Identity
	obey       func(id grid.Identity, o Order) error
	lifetime   time.Duration
	peer       *coapPeer
	location   string
	registered time.Time

	mu       sync.Mutex
	values   map[string]senmlValue // by path
	observed map[string]observed   // by path
	told     map[string]string     // what an observation said last
	sequence uint32
	wanted   chan struct{} // something is observed newly
}

type observed struct{ token []byte }

func (c *lwm2mClient) close() { c.peer.close() }

// carry keeps the values of m, and notifies what has changed of what is observed, or says
// that the device is there.
func (c *lwm2mClient) carry(ctx context.Context, m Message) error {
	var values []senmlValue
	if err := json.Unmarshal(m.Payload, &values); err != nil {
		return refused{err}
	}
	c.mu.Lock()
	for _, v := range values {
		c.values[v.Name] = v
	}
	c.mu.Unlock()
	if err := c.peer.open(ctx); err != nil {
		return err
	}
	fresh := c.location == "" // then the answers to its observations say all
	if fresh || time.Since(c.registered) > c.lifetime/2 {
		if err := c.register(ctx); err != nil {
			c.location = ""
			c.peer.close()
			return err
		}
	}
	if err := c.notify(ctx, m.Kind != Edge && !fresh); err != nil {
		c.location = "" // it may have started anew, and know nothing
		c.peer.close()
		return err
	}
	return nil
}

// objects lists the instances that the device has.
func (c *lwm2mClient) objects() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := []string{`</>;rt="oma.lwm2m";ct="110"`, "</1/0>"}
	for path := range c.values {
		parts := strings.Split(path, "/")
		if link := "</" + parts[1] + "/" + parts[2] + ">"; !slices.Contains(seen, link) {
			seen = append(seen, link)
		}
	}
	slices.Sort(seen[1:])
	return strings.Join(seen, ",")
}

func (c *lwm2mClient) register(ctx context.Context) error {
	if c.location != "" {
		update := coapMessage{code: codePOST}
		update.target(c.location, 0, false)
		answer, err := c.peer.exchange(ctx, update, true)
		if err != nil {
			return err
		}
		if answer.code == codeChanged {
			c.registered = time.Now()
			return nil
		}
		c.location = ""
	}
	c.mu.Lock()
	clear(c.observed)
	clear(c.told)
	c.mu.Unlock()
	select {
	case <-c.wanted:
	default:
	}
	post := coapMessage{code: codePOST, payload: []byte(c.objects())}
	post.target(fmt.Sprintf("/rd?ep=%s&lt=%d&lwm2m=1.1&b=U", url.QueryEscape(c.endpoint), int(c.lifetime.Seconds())), 40, true)
	answer, err := c.peer.exchange(ctx, post, true)
	if err != nil {
		return err
	}
	if answer.code != codeCreated {
		return said(&answer)
	}
	c.location, c.registered = answer.path(optLocationPath), time.Now()
	// What the gateway wants observed it asks at once; without it there is nobody to tell.
	select {
	case <-c.wanted:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Second):
		return fmt.Errorf("%s is registered, and nothing of it is observed", c.endpoint)
	}
	return sleep(ctx, 300*time.Millisecond) // it asks for one after the other
}

// below lists the values at or below a path.
func (c *lwm2mClient) below(path string) (out []senmlValue) {
	path = strings.TrimSuffix(path, "/")
	for name, v := range c.values {
		if name == path || strings.HasPrefix(name, path+"/") {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b senmlValue) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// answer is what the device says to a request of the gateway.
func (c *lwm2mClient) answer(m coapMessage) coapMessage {
	path := m.path(optUriPath)
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.code != codeGET {
		return c.order(&m, path)
	}
	values := c.below(path)
	if len(values) == 0 {
		return coapMessage{code: codeNotFound}
	}
	out := coapMessage{code: codeContent, payload: plainJSON(values)}
	if want, said := m.number(optObserve); said && want == 0 {
		c.observed[path] = observed{append([]byte(nil), m.token...)}
		c.told[path] = string(out.payload) // this is its first notification
		c.sequence++
		out.add(optObserve, coapUint(c.sequence))
		select {
		case c.wanted <- struct{}{}:
		default:
		}
	} else if said {
		delete(c.observed, path)
	}
	out.add(optFormat, coapUint(uint32(senmlFormat)))
	return out
}

// order is a write (PUT), or an execution (POST), of a single resource.
func (c *lwm2mClient) order(m *coapMessage, path string) coapMessage {
	if c.obey == nil || strings.Count(strings.Trim(path, "/"), "/") != 2 {
		return coapMessage{code: codeNotAllowed}
	}
	o := Order{Path: path}
	if m.code == codePUT {
		o.Value = writtenValue(m)
	}
	if m.code == codePUT && o.Value == "" || c.obey(c.identity, o) != nil {
		return coapMessage{code: codeNotAllowed}
	}
	return coapMessage{code: codeChanged}
}

// writtenValue is what is written, as text: plain, or the one record of SenML JSON.
func writtenValue(m *coapMessage) string {
	var one []senmlValue
	if json.Unmarshal(m.payload, &one) != nil || len(one) != 1 {
		return string(m.payload)
	}
	switch v := one[0]; {
	case v.Value != nil:
		return fmt.Sprint(*v.Value)
	case v.Text != nil:
		return *v.Text
	case v.Bool != nil:
		return fmt.Sprint(*v.Bool)
	}
	return ""
}

// notify tells what has changed; all, when the device only says that it is there.
func (c *lwm2mClient) notify(ctx context.Context, all bool) error {
	type notice struct {
		path string
		coapMessage
	}
	var list []notice
	c.mu.Lock()
	for path, o := range c.observed {
		values := plainJSON(c.below(path))
		if !all && c.told[path] == string(values) {
			continue
		}
		c.sequence++
		n := notice{path, coapMessage{code: codeContent, token: o.token, payload: values}}
		n.add(optObserve, coapUint(c.sequence&0xffffff))
		n.add(optFormat, coapUint(uint32(senmlFormat)))
		list = append(list, n)
	}
	c.mu.Unlock()
	slices.SortFunc(list, func(a, b notice) int { return strings.Compare(a.path, b.path) })
	for _, n := range list {
		if _, err := c.peer.exchange(ctx, n.coapMessage, false); err != nil {
			return err
		}
		c.mu.Lock()
		c.told[n.path] = string(n.payload)
		c.mu.Unlock()
	}
	return nil
}
