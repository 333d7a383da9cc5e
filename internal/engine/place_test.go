package engine

import (
	"testing"

	"gridgate/internal/grid"
)

func TestAPlaceSaysEachThingOnce(t *testing.T) {
	for want, p := range map[string]struct {
		name  string
		parts []string
	}{
		"天山路 18 弄 3号楼 B1 配电间烟感":                    {"3号楼 B1 配电间烟感", []string{"天山路 18 弄", "3号楼", "B1", "配电间"}},
		"天山路 18 弄 3号楼 B1 烟感 配电间":                   {"3号楼 B1 烟感", []string{"天山路 18 弄", "3号楼", "B1", "配电间"}},
		"天山路 18 弄 3号楼 1F 配电间 烟感":                   {"烟感", []string{"天山路 18 弄", "3号楼", "1F", "配电间"}},
		"天山路 18 弄 3号楼 1F 13号楼烟感 11F":               {"13号楼烟感 11F", []string{"天山路 18 弄", "3号楼", "1F", ""}},
		"天山路 18 弄 3号楼 6F":                          {"", []string{"天山路 18 弄 3号楼", "3号楼", "6F"}},
		"东方公寓路 1 号 东方公寓 2F":                        {"", []string{"东方公寓路 1 号", "东方公寓", "2F"}},
		"6号楼 3 烟感 3":                               {"烟感 3", []string{"", "6号楼", "3", ""}},
		"天山路 18 弄":                                 {"天山路 18 弄", []string{"天山路 18 弄", ""}},
		"18 Tianshan Rd, Tower B, 1F, Switch room": {"", []string{"18 Tianshan Rd", "Tower B", "1F", "Switch room"}},
		"Tower B, 1F, Tower Block 11F smoke":       {"Tower Block 11F smoke", []string{"", "Tower B", "1F", ""}},
		"":                                         {" ", []string{"", " "}},
	} {
		if got := saidOnce(p.name, p.parts...); got != want {
			t.Errorf("%q, %q: got %q, want %q", p.name, p.parts, got, want)
		}
	}
}

func TestATicketNamesItsBuilding(t *testing.T) {
	r := newRig(t)
	r.units()
	house := grid.Building{ID: "b-3", Name: "3号楼", Address: "天山路 18 弄", Scope: grid.Scope{District: "310105"}, Mode: grid.Live}
	if err := r.engine.PutAs(t.Context(), grid.Registration{Buildings: []grid.Building{house}}, grid.Act{Via: "import"}); err != nil {
		t.Fatal(err)
	}
	reg := placed(grid.Smoke, "p-1", "sn:smoke-1", r.now())
	p := &reg.Points[0]
	p.Building, p.Floor, p.Room, p.Name = "b-3", "B1", "配电间", "3号楼 B1 烟感"
	r.put(reg)
	r.say("sn:smoke-1", `{"smoke.alarm": true}`)
	if got, want := r.theTicket().Place, "天山路 18 弄 3号楼 B1 烟感 配电间"; got != want {
		t.Errorf("the unit is sent to %q, want %q", got, want)
	}
}
