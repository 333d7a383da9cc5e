package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"gridgate/internal/profile"
)

// skeleton is what a new profile begins as.
type skeleton struct {
	ID, Vendor, Model string
	Kind, Codec       string
	Signal            string // what the kind is about
	Hex               string // of the first case; "" none
	Text              string // the same, where it is text
	Port              int    // -1: none
}

// signalOfKind is the signal that a point of a kind is watched by.
var signalOfKind = map[string]string{"door": "door.open", "parking": "parking.occupied", "manhole": "manhole.open", "smoke": "smoke.alarm"}

func (a *app) profileNew() *cobra.Command {
	s := skeleton{Port: -1}
	var dir string
	cmd := &cobra.Command{
		Use: "new <vendor>/<model>", Short: "Begin a profile: profile.yaml and cases.yaml with places to fill in", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate profile new acme/door7 --kind door --codec binary --port 2 --hex '81 0b 88'",
		RunE: func(cmd *cobra.Command, argv []string) error {
			s.ID = argv[0]
			if err := s.check(); err != nil {
				return usage(cmd, err)
			}
			files, err := s.files()
			if err != nil {
				return err
			}
			folder := filepath.Join(dir, filepath.FromSlash(s.ID))
			if err := writeNew(folder, files); err != nil {
				return err
			}
			wrong := profile.Lint(os.DirFS(dir), s.ID)
			return a.show(map[string]any{"folder": folder, "findings": messages(wrong)}, func() {
				a.say("%s: fill in what is marked FILL IN, then: gridgate profile lint %s", folder, folder)
				for _, err := range wrong {
					a.say("  %v", err)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "firmware-profiles", "`folder` of the profiles")
	f.StringVar(&s.Kind, "kind", "", "what points it serves: door, parking, manhole or smoke")
	f.StringVar(&s.Codec, "codec", "binary", "how it encodes: binary, tlv, json, text or javascript")
	f.StringVar(&s.Hex, "hex", "", "a payload of the device, for the first case")
	f.IntVar(&s.Port, "port", -1, "port the payload came on; -1: none")
	return cmd
}

func (s *skeleton) check() error {
	vendor, model, ok := strings.Cut(s.ID, "/")
	plain := func(part string) bool {
		return part != "" && strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789._-") == "" && part[0] != '.'
	}
	if !ok || !plain(vendor) || !plain(model) {
		return fmt.Errorf("%q: want <vendor>/<model> in lower case, for example acme/door7", s.ID)
	}
	s.Vendor, s.Model, s.Signal = vendor, model, signalOfKind[s.Kind]
	if s.Signal == "" {
		return fmt.Errorf("--kind is %q: want door, parking, manhole or smoke", s.Kind)
	}
	if kinds := []string{"binary", "tlv", "json", "text", "javascript"}; !slices.Contains(kinds, s.Codec) {
		return fmt.Errorf("--codec is %q: want one of %s; for others copy a profile of gridgate's own", s.Codec, strings.Join(kinds, ", "))
	}
	if s.Hex == "" {
		return nil
	}
	payload, err := profile.ParseHex(s.Hex)
	if err != nil || len(payload) == 0 {
		return errors.Join(errors.New("--hex: want the bytes of a payload"), err)
	}
	s.Hex = fmt.Sprintf("% x", payload)
	if (s.Codec == "json" || s.Codec == "text") && utf8.Valid(payload) {
		s.Text = strconv.Quote(string(payload))
	}
	return nil
}

// files gives the texts of the profile by name.
func (s *skeleton) files() (map[string][]byte, error) {
	texts := map[string]string{"profile.yaml": newHead + newBody[s.Codec], "cases.yaml": newCases}
	if s.Codec == "javascript" {
		texts["codec.js"] = newScript
	}
	out := map[string][]byte{}
	for name, text := range texts {
		t, err := template.New(name).Parse(text)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, s); err != nil {
			return nil, err
		}
		out[name] = b.Bytes()
	}
	return out, nil
}

// writeNew writes files that are not there yet; it changes none that is.
func writeNew(folder string, files map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name := range files {
		if _, err := os.Lstat(filepath.Join(folder, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: want another name, or edit it", filepath.Join(folder, name))
		}
	}
	for name, text := range files {
		f, err := os.OpenFile(filepath.Join(folder, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func messages(errs []error) []string {
	out := []string{}
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

const newHead = `# yaml-language-server: $schema=../../profile.schema.json
# Fill in each line that says so. docs/profiles.md explains the keys.
profile: {{.ID}}
version: "1"                  # raise it when decoding changes: each frame names it
vendor: {{printf "%-22s" .Vendor}} # FILL IN as people write it
model: {{printf "%-23s" .Model}} # FILL IN as people write it, and as network servers name it
firmware: "FILL IN: which firmware the layout holds for, in words"
kinds: [{{.Kind}}]
source: "FILL IN: where the layout comes from, for example a data sheet and its table"
interval: 24h                 # FILL IN: a healthy device reports at least this often
counter: {source: network}    # network (LoRaWAN), payload with field and bits, or none
identify: {eui: [], models: []}   # how EUIs of the maker begin, other names of the model: helps to guess

`

// newBody is, by codec, how the payload is read, and the signals.
var newBody = map[string]string{
	"binary": `codec: binary
order: big                    # or little
layouts:
  - name: report
    when: {{"{"}}{{if ge .Port 0}}port: {{.Port}}{{end}}{{"}"}}{{if lt .Port 0}}               # port, length, byte: {0: 0x81}{{end}}
    fields:                   # one after the other, or with at: the offset
      - {name: state, type: u8}        # FILL IN: bits: "7" or flags for parts of a byte
      - {name: battery_v, type: u16, scale: 0.001, range: [1.5, 4]}   # FILL IN, or take it out

signals:                      # FILL IN: polarity is decided here: a case for each side
  {{.Signal}}: {field: state, is: 1}
  battery.voltage: battery_v
`,
	"tlv": `codec: tlv
{{if ge .Port 0}}ports: [{{.Port}}]
{{end}}key: {size: 2}                # bytes of a key: channel and type, or 1; length: u8 where a length follows it
order: little                 # or big
records:                      # FILL IN: each key the device sends; skip: <bytes> for what nobody needs
  - {name: battery, keys: ["0175"], fields: [{name: battery, type: u8, absent: 255}]}
  - {name: state, keys: ["0300"], fields: [{name: state, type: u8, enum: {0: normal, 1: active}}]}

signals:                      # FILL IN: polarity is decided here: a case for each side
  {{.Signal}}: {field: state, is: active}
  battery.level: battery
`,
	"json": `codec: json
fields:                       # FILL IN: path: a.b.0 or ["key.with.dot"]; default: the name
  - {name: state, path: state, enum: {normal: normal, active: active}}
  - {name: battery, path: battery}

signals:                      # FILL IN: polarity is decided here: a case for each side
  {{.Signal}}: {field: state, is: active}
  battery.level: battery
`,
	"text": `codec: text
encoding: utf-8               # or gb18030
unknown_line: warn            # or error, ignore
lines:                        # FILL IN: the first expression that matches reads a line
  - name: state
    match: '^(?P<state>NORMAL|ACTIVE)(?: BAT=(?P<battery>\d+))?$'
    fields:
      - {name: state, enum: {NORMAL: normal, ACTIVE: active}}
      - {name: battery}

signals:                      # FILL IN: polarity is decided here: a case for each side
  {{.Signal}}: {field: state, is: active}
  battery.level: battery
`,
	"javascript": `codec: javascript
javascript: {file: codec.js}  # the maker's decodeUplink, unchanged; its data is read by path
{{if ge .Port 0}}ports: [{{.Port}}]
{{end}}fields:                       # FILL IN: path: a.b.0 in the data that the code returns
  - {name: state, path: state}
  - {name: battery, path: battery}

signals:                      # FILL IN: polarity is decided here: a case for each side
  {{.Signal}}: {field: state, is: 1}
  battery.level: battery
`,
}

const newCases = `# yaml-language-server: $schema=../../cases.schema.json
# Payloads and the whole of what must come out of them: each state of the device on both
# sides, a truncated payload, an unknown port. ` + "`gridgate profile decode`" + ` prints what comes out.
cases:
  - name: "FILL IN: what the device was doing"
{{- if ge .Port 0}}
    port: {{.Port}}
{{- end}}
{{- if .Text}}
    text: {{.Text}}
{{- else if .Hex}}
    hex: {{.Hex}}
{{- else if or (eq .Codec "json") (eq .Codec "text")}}
    text: "FILL IN: a payload"
{{- else}}
    hex: "00"                 # FILL IN: a payload
{{- end}}
    want: {readings: {}}      # FILL IN: {{.Signal}}: true, …
`

const newScript = `// FILL IN: put the maker's codec here as it is. It must have decodeUplink (TS013):
function decodeUplink(input) {
  return { data: { state: input.bytes[0], battery: input.bytes[1] } };
}
`
