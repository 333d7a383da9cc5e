package label_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"gridgate/configs"
	"gridgate/internal/grid"
	"gridgate/internal/label"
)

type vector struct {
	Name      string
	Input     string
	Symbology string
	Online    bool
	Want      seen
	Hidden    []string
}

// seen is what may be shown of a code.
type seen struct {
	Kind       label.Kind
	Identity   grid.Identity
	Identities []grid.Identity
	Maker      string
	Model      string
	Serial     string
	Point      string
	Secret     bool
	Warnings   []label.Warning
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		About   string
		Vectors []vector
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Vectors
}

func reader(t testing.TB) *label.Reader {
	t.Helper()
	b, err := configs.FS.ReadFile("labels.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := label.Parse("labels.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func shown(c label.Code) seen {
	return seen{c.Kind, c.Identity(), append([]grid.Identity{}, c.Identities...), c.Maker, c.Model, c.Serial, c.Point, c.Secret, append([]label.Warning{}, c.Warnings...)}
}

func TestCodesSayWhatTheVectorsSay(t *testing.T) {
	r := reader(t)
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			got, _ := json.Marshal(shown(r.Read(v.Input)))
			want, _ := json.Marshal(v.Want)
			if string(got) != string(want) {
				t.Errorf("%q\n says %s\nwant  %s", v.Input, got, want)
			}
		})
	}
}

func TestASecretOfACodeStandsNowhereInWhatIsShown(t *testing.T) {
	r := reader(t)
	for _, v := range vectors(t) {
		c := r.Read(v.Input)
		asJSON, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var logged strings.Builder
		slog.New(slog.NewTextHandler(&logged, nil)).Info("read", "code", c, "secrets", c.Secrets)
		all := string(asJSON) + fmt.Sprintf("%v %+v %#v %s", c, c, c.Secrets, c.Secrets) + logged.String()
		for _, hidden := range v.Hidden {
			if strings.Contains(strings.ToLower(all), strings.ToLower(hidden)) {
				t.Errorf("%s: %q can be read in %s", v.Name, hidden, all)
			}
		}
		if len(v.Hidden) > 0 && !c.Secret {
			t.Errorf("%s: does not say that there was a secret", v.Name)
		}
	}
}

func TestSecretsAreKeptApartForWhoeverMayHaveThem(t *testing.T) {
	r := reader(t)
	for _, c := range []struct {
		text string
		want label.Secrets
	}{
		{"MT:-24J042C00KA0648G00", label.Secrets{Other: "20202021"}},
		{"34970112332", label.Secrets{Other: "20202021"}},
		{"GW1:D:EUI:24E124136D000001:TABCDEFGHIJKLMNOPQRSTUVWX23", label.Secrets{Token: "ABCDEFGHIJKLMNOPQRSTUVWX23"}},
		{"gw1:d:eui:24e124136d000001:tabcdefghijklmnopqrstuvwx23", label.Secrets{Token: "ABCDEFGHIJKLMNOPQRSTUVWX23"}},
		{"DevEUI=24E124136D000001;APPKEY=000102030405060708090A0B0C0D0E0F", label.Secrets{AppKey: "000102030405060708090a0b0c0d0e0f"}},
		{"imei=867413050000014&psk=000102030405060708090a0b0c0d0e0f", label.Secrets{PSK: "000102030405060708090a0b0c0d0e0f"}},
		{"LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122:OTOKEN1", label.Secrets{Other: "TOKEN1"}},
	} {
		if got := r.Read(c.text).Secrets; got != c.want {
			t.Errorf("%s: the parts are not told apart", c.text)
		}
	}
}

func TestWhatWePrintIsReadBack(t *testing.T) {
	r := reader(t)
	for _, id := range []grid.Identity{"eui:24e124136d000001", "imei:867413050000014", "gb26875:0.1:2", "modbus:bus-1/12"} {
		token := label.NewToken()
		c := r.Read(label.DeviceCode(id, token))
		if c.Kind != label.GW1 || c.Identity() != id || c.Secrets.Token != token {
			t.Errorf("%s is read as %s %s, token %v", id, c.Kind, c.Identity(), c.Secrets.Token == token)
		}
		if c := r.Read(label.DeviceCode(id, "")); c.Identity() != id || c.Secret {
			t.Errorf("%s without a token is read as %s, secret %v", id, c.Identity(), c.Secret)
		}
	}
	if c := r.Read(label.PlateCode("zs-0001:a")); c.Kind != label.Point || c.Point != "zs-0001:a" {
		t.Errorf("plate is read as %s %q", c.Kind, c.Point)
	}
	if a, b := label.NewToken(), label.NewToken(); a == b || label.TokenHash(a) == label.TokenHash(b) {
		t.Error("two tokens are one")
	}
}

func TestACodeThatIsTooLongIsNotRead(t *testing.T) {
	c := reader(t).Read("IMEI: 867413050000014 " + strings.Repeat("x", label.MaxText))
	if c.Identity() != "" || !slices.Contains(c.Warnings, label.TooLong) {
		t.Errorf("read as %s %v", c.Identity(), c.Warnings)
	}
}

func TestFormsOfMakersAreCheckedAtTheStart(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"unknown key":    {"labels:\n- {name: a, maker: b, patern: x}", "patern"},
		"no anchor":      {"labels:\n- {name: a, maker: b, identity: sn, pattern: '(?<identity>x)', examples: [{code: x}]}", "whole code"},
		"no identity":    {"labels:\n- {name: a, maker: b, identity: sn, pattern: '^x$', examples: [{code: x}]}", "identity"},
		"unknown group":  {"labels:\n- {name: a, maker: b, identity: sn, pattern: '^(?<identity>x)(?<key>y)$', examples: [{code: xy}]}", `"key"`},
		"no example":     {"labels:\n- {name: a, maker: b, identity: sn, pattern: '^(?<identity>x)$'}", "example"},
		"false example":  {"labels:\n- {name: a, maker: b, identity: sn, pattern: '^Q(?<identity>[0-9]+)$', examples: [{code: Q12, identity: 'sn:13'}]}", "sn:13"},
		"example is bad": {"labels:\n- {name: a, maker: b, identity: sn, pattern: '^Q(?<identity>[0-9]+)$', examples: [{code: R12, identity: 'sn:12'}]}", "does not fit"},
		"kind":           {"labels:\n- {name: a, maker: b, identity: lora, pattern: '^(?<identity>x)$', examples: [{code: x}]}", `"lora"`},
		"bad pattern":    {"labels:\n- {name: a, maker: b, identity: sn, pattern: '^(?<identity>x$', examples: [{code: x}]}", "missing"},
	} {
		if _, err := label.Parse("labels.yaml", []byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v: want %s in it", name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Input)
	}
	r := reader(f)
	f.Fuzz(func(t *testing.T, text string) {
		c := r.Read(text)
		if c.Kind == "" {
			t.Fatal("no kind")
		}
		if c.Secrets != (label.Secrets{}) && !c.Secret {
			t.Fatal("a secret that nobody is told of")
		}
		for _, id := range c.Identities {
			kind, name, ok := strings.Cut(string(id), ":")
			if !ok || kind == "" || name == "" || len(id) > 128 || strings.ToLower(string(id)) != string(id) || strings.ContainsAny(string(id), " #+?%\"\\\x00\n") {
				t.Fatalf("identity %q", id)
			}
		}
	})
}
