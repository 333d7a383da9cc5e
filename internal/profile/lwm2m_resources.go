package profile

import "slices"

// Resources are what an LwM2M server has to observe for this profile: instances of
// objects such as 3342/#, where # is any; single resources of 3 Device (3/0/9), whose
// clock changes all the time; and the resource that carries the payload of another codec
// (19/0/0). None where the profile has nothing to do with LwM2M.
func (p *Profile) Resources() []string {
	var c *lwm2m
	switch codec := p.codec.(type) {
	case *lwm2m:
		c = codec
	case *inResource:
		c = codec.lwm2m
	default:
		return nil
	}
	var out []string
	add := func(path resource, most int) {
		path.len = min(path.len, most)
		if s := path.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if c.opaque != nil {
		add(*c.opaque, 3)
	}
	for i := range c.lists {
		for _, path := range c.lists[i].paths {
			if path.id[0] == deviceObject {
				add(path, 3)
			} else {
				add(path, 2)
			}
		}
	}
	return out
}

const deviceObject = 3
