package simulator

import "bytes"

// Tells reports whether device i has words for a change of what is so otherwise (nil: a
// point at rest): whether what it sends then is anything else than what it sent before.
func (c *City) Tells(i int, otherwise, change func(*State)) bool {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.partOf(i)
	m, mem := c.version(p, i).model, c.memory(i, p, 0)
	rest := Normal()
	if otherwise != nil {
		otherwise(&rest)
	}
	changed := rest
	change(&changed)
	if m.says(changed, p.kind, Edge) != nil {
		return false
	}
	_, before := m.encode(rest, mem, Edge, now)
	_, after := m.encode(changed, mem, Edge, now)
	return after != nil && !bytes.Equal(before, after)
}
