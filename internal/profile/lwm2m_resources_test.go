package profile

import (
	"slices"
	"testing"
)

func TestProfileNamesTheResourcesToObserve(t *testing.T) {
	const head = "profile: a/b\nversion: \"1\"\nvendor: A\nmodel: B\nfirmware: any\nkinds: [door]\nsource: test\ninterval: 1h\ncounter: {source: none}\n"
	for name, c := range map[string]struct {
		profile string
		want    []string
	}{
		"objects": {"codec: lwm2m\nfields:\n" +
			"  - {name: open, path: \"3342/#/5500\", type: bool}\n  - {name: count, path: \"3342/#/5501\", type: int}\n" +
			"  - {name: battery, path: 3/0/9, type: int}\n  - {name: error, path: \"3/0/11/#\", type: int, any_of: [1]}\n  - {name: rssi, path: 4/0/2, type: int}\n" +
			"signals:\n  door.open: open\n", []string{"3342/#", "3/0/9", "3/0/11", "4/0"}},
		"a maker's own frame": {"codec: json\nfields: [{name: open, path: open}]\nsignals:\n  door.open: open\n" +
			"lwm2m:\n  payload_of: 19/0/0\n  fields: [{name: battery, path: 3/0/9, type: int}]\n", []string{"19/0/0", "3/0/9"}},
		"nothing of LwM2M": {"codec: json\nfields: [{name: open, path: open}]\nsignals:\n  door.open: open\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(head + c.profile))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if got := p.Resources(); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
