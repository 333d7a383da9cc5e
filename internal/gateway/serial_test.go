package gateway

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/profile"
)

func TestLineThatCannotBeServedNamesTheKeyAndTheWish(t *testing.T) {
	for text, want := range map[string]string{
		`{name: a, path: /dev/ttyS0, protocol: lines, bauds: 9600}`:                                         `unknown field "bauds"`,
		`{name: a, path: /dev/ttyS0, protocol: block, block: {begin: "68"}}`:                                `unknown field "begin"`,
		`{name: a, path: /dev/ttyS0, protocol: modbus}`:                                                     `serial[0]: protocol is "modbus": want block, gbt26875`,
		`{name: a, path: /dev/ttyS0, protocol: modbus-rtu}`:                                                 `serial[0].slaves: want them for the protocol modbus-rtu`,
		`{name: a, path: /dev/ttyS0, protocol: lines, slaves: [{address: 1, profile: x/y}]}`:                `serial[0].slaves: want them for the protocol modbus-rtu, and for no other`,
		`{name: a, path: /dev/ttyS0, protocol: modbus-rtu, slaves: [{address: 300, profile: x/y}]}`:         `serial[0].slaves[0].address is 300: want 1 to 255`,
		`{name: a, path: /dev/ttyS0, protocol: modbus-rtu, slaves: [{address: 3}]}`:                         `serial[0].slaves[0].profile is empty`,
		`{name: "A/b", path: /dev/ttyS0, protocol: lines}`:                                                  `serial[0]: name is "A/b": want small letters`,
		`{name: a, path: /dev/ttyS0, connect: "tcp://x:1", protocol: lines}`:                                `serial[0]: want one of path, connect and listen`,
		`{name: a, path: /dev/ttyS0, protocol: lines, baud: 9601}`:                                          `baud is 9601: want one of`,
		`{name: a, connect: "x:1", protocol: lines}`:                                                        `connect is "x:1": want tcp://host:port`,
		`{name: a, listen: "tcp://:5000", protocol: gbt26875, gbt26875: {time: utc}}`:                       `time is "utc": want binary or bcd`,
		`{name: a, listen: "tcp://:5000", protocol: gbt26875, gbt26875: {commands: [2]}}`:                   `gbt26875.commands has 2: want what the standard leaves free`,
		`{name: a, listen: "tcp://:5000", protocol: stx-etx, stx_etx: {check: crc16}}`:                      `stx_etx.check is "crc16": want none, sum or xor`,
		`{name: a, listen: "tcp://:5000", protocol: block, block: {start: "6"}}`:                            `block.start is "6": want 1 to 4 bytes in hexadecimal`,
		`{name: a, listen: "tcp://:5000", protocol: lines, identify: "("}`:                                  `identify is "(": want a regular expression with one group`,
		`{name: a, path: /dev/a, protocol: lines}, {name: a, path: /dev/b, protocol: lines}`:                `serial[1].name is "a" again`,
		`{name: a, listen: "udp://:5000", protocol: modbus-rtu, slaves: [{address: 1, profile: modbus/x}]}`: `want tcp://host:port for modbus-rtu`,
		`{name: a, path: /dev/a, protocol: modbus-rtu, register: "(x)", slaves: []}`:                        `register is for modbus-rtu on a line that listens`,
	} {
		_, err := LoadConfig(write(t, "serial: ["+text+"]\n"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror is %v\nwant one that contains %q", text, err, want)
		}
	}
}

func TestLinesOfTheSampleConfigurationAreValid(t *testing.T) {
	b, err := configs.FS.ReadFile("gridgate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "serial: []\n")
	text, _, ends := strings.Cut(text, "\n\n")
	if !found || !ends {
		t.Fatal("the sample has no serial")
	}
	c, err := LoadConfig(write(t, "serial:\n"+regexp.MustCompile(`(?m)^#`).ReplaceAllString(text, "")+"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Serial) != 4 || c.Serial[1].Slaves[1].Identity != "sn:pit-4" || c.Serial[2].Slaves[0].DTU != "860123456789012" || c.Serial[3].GBT26875.Commands[1] != 7 {
		t.Errorf("got %+v", c.Serial)
	}
	set, err := profile.Load(firmwareprofiles.FS)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	g := New(c, nil)
	g.profiles = set
	if err := g.makeSerial(); err != nil {
		t.Fatal(err)
	}
	s := g.serial[1].Status().Slaves
	if len(s) != 2 || s[0].Identity != "modbus:riser-3/1" || s[1].Identity != "sn:pit-4" || s[1].Address != 255 {
		t.Errorf("got %+v", s)
	}

	if s := g.serial[2].Status().Slaves; len(s) != 1 || s[0].Identity != "modbus:pits/860123456789012/1" {
		t.Errorf("got %+v", s)
	}

	g.cfg.Serial[1].Heartbeat = time.Minute
	if err := g.makeSerial(); err == nil || !strings.Contains(err.Error(), "heartbeat is 1m0s: want at most 40s") {
		t.Errorf("got %v", err)
	}
	g.cfg.Serial[1].Heartbeat, g.cfg.Serial[1].Slaves[0].Profile = 0, "gridgate/lines"
	if err := g.makeSerial(); err == nil || !strings.Contains(err.Error(), "profile gridgate/lines is not of the codec modbus") {
		t.Errorf("got %v", err)
	}
}
