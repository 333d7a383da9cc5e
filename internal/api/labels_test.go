package api

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"gridgate/configs"
	"gridgate/internal/grid"
	"gridgate/internal/label"
	"gridgate/internal/state"
)

func (e *fakeEngine) Stranger(_ context.Context, id grid.Identity, _ string, _ int) (grid.Stranger, error) {
	if id == "z2m:0x24e124136d000001" {
		return grid.Stranger{Discovered: grid.Discovered{Identity: id, Frames: 2, Guesses: []grid.ProfileGuess{{Profile: "zigbee2mqtt/smoke", Score: 60, Reason: "r"}}}}, nil
	}
	return grid.Stranger{}, grid.Errorf(grid.NotFound, "device %s was not heard", id)
}

func (e *fakeEngine) PutLabels(_ context.Context, labels []grid.ClaimLabel, _ grid.Act) ([]grid.ClaimLabel, error) {
	e.labels = append(e.labels, labels...)
	return labels, e.err
}

func readers(t *testing.T, w *world) {
	t.Helper()
	b, err := configs.FS.ReadFile("labels.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if w.server.Codes, err = label.Parse("labels.yaml", b); err != nil {
		t.Fatal(err)
	}
}

func TestACodeIsReadWithWhatIsKnownOfItsDevice(t *testing.T) {
	w := newWorld(t)
	readers(t, w)
	w.commit(&state.Batch{Devices: []grid.Device{{Identity: "imei:867413050000014", Profile: "v/m", State: grid.Registered, Mode: grid.Live}}})
	got, err := w.client(admin).ReadCode(t.Context(), "IMEI: 867413050000014")
	if err != nil || got.Kind != label.IMEI || got.Registered == nil || got.Registered.State != grid.Registered || len(got.Profiles) != 1 || got.Profiles[0].Profile != "v/m" {
		t.Errorf("registered: %+v, %v", got, err)
	}
	// Heard under another of its names: that one counts.
	got, err = w.client(admin).ReadCode(t.Context(), "24E124136D000001")
	if err != nil || got.Identity != "z2m:0x24e124136d000001" || got.Discovered == nil || len(got.Profiles) != 1 {
		t.Errorf("discovered: %+v, %v", got, err)
	}
	got, err = w.client(admin).ReadCode(t.Context(), "GW1:P:p1")
	if err != nil || got.Kind != label.Point || got.Point != "p1" || got.Identity != "" {
		t.Errorf("plate: %+v, %v", got, err)
	}
}

func TestWhatRefusesABodyQuotesNoSecret(t *testing.T) {
	w := newWorld(t)
	readers(t, w)
	for path, bodies := range map[string][]string{
		"/api/v1/codes/read":          {`{"text":34970112332}`, `{"text":["34970112332"]}`, `{"txt":"34970112332"}`, `"34970112332"`, `{"text":"34970112332"`},
		"/api/v1/devices/eui:1/claim": {`{"code":34970112332}`, `{"profile":1,"code":"34970112332"}`, `{"mode":"34970112332","code":"34970112332"}`, `{"code":"34970112332"`},
	} {
		for _, b := range bodies {
			status, _, answer := w.do(admin, "POST", path, b)
			if status < 400 || status >= 500 {
				t.Errorf("%s %s: %d %s", path, b, status, answer)
			}
			if strings.Contains(string(answer), "34970112332") {
				t.Errorf("%s %s: the answer quotes the code: %s", path, b, answer)
			}
		}
	}
}

func TestEveryVectorIsAnsweredWithoutItsSecret(t *testing.T) {
	w := newWorld(t)
	readers(t, w)
	b, err := os.ReadFile("../label/testdata/codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Vectors []struct {
			Name, Input string
			Hidden      []string
			Want        struct{ Secret bool }
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	for _, v := range doc.Vectors {
		in, _ := json.Marshal(map[string]string{"text": v.Input})
		for _, path := range []string{"/api/v1/codes/read", "/api/v1/devices/sn:other/claim"} {
			if strings.HasSuffix(path, "claim") {
				in, _ = json.Marshal(map[string]string{"code": v.Input, "profile": "v/m"})
			}
			status, h, answer := w.do(admin, "POST", path, string(in))
			if status >= 500 {
				t.Errorf("%s: %d %s", v.Name, status, answer)
			}
			for _, hidden := range v.Hidden {
				if strings.Contains(strings.ToLower(string(answer)), strings.ToLower(hidden)) {
					t.Errorf("%s %s: %s", v.Name, path, answer)
				}
			}
			if strings.HasSuffix(path, "read") && (strings.Contains(string(answer), `"secret":true`) != v.Want.Secret || h.Get("Cache-Control") != "no-store") {
				t.Errorf("%s: %s %v", v.Name, answer, h)
			}
		}
	}
}

func TestAClaimTakesOnlyTheCodeOfItsDevice(t *testing.T) {
	w := newWorld(t)
	readers(t, w)
	token := label.NewToken()
	ask := func(id grid.Identity, code string) (Claimed, error) {
		w.engine.claim = grid.Claim{}
		return w.client(admin).Claim(t.Context(), id, Claim{Profile: "v/m", Code: code, By: &As{Name: "Chen", Role: technician}})
	}
	if got, err := ask("eui:24e124136d000001", label.DeviceCode("eui:24e124136d000001", token)); err != nil || !got.Secret || w.engine.claim.Token != label.TokenHash(token) || w.engine.claim.By.Name != "Chen" {
		t.Errorf("%+v %+v, %v", got, w.engine.claim, err)
	}
	if _, err := ask("eui:24e124136d000002", label.DeviceCode("eui:24e124136d000001", token)); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("the code of another: %v", err)
	}
	if _, err := ask("eui:24e124136d000002", "GW1:P:p1"); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a plate: %v", err)
	}
	if _, err := ask("eui:24e124136d000002", "MT:-24J0AFN004QG46Y900"); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "everybody guesses") {
		t.Errorf("an easy passcode: %v", err)
	}
	if got, err := ask("eui:24e124136d000001", "DevEUI=24E124136D000001;SN=6136D0000001"); err != nil || got.Secret || w.engine.claim.Device.Serial != "6136D0000001" || w.engine.claim.Token != "" {
		t.Errorf("%+v %+v, %v", got, w.engine.claim, err)
	}
}

func TestLabelsOfDevicesGetATokenOfWhichOnlyTheHashIsKept(t *testing.T) {
	w := newWorld(t)
	w.commit(&state.Batch{Devices: []grid.Device{{Identity: "eui:24e124136d000001", Profile: "v/m", State: grid.Registered, Mode: grid.Live}}})
	file, err := w.client(admin).Labels(t.Context(), LabelsAsk{Points: []string{"p1"}, Devices: []grid.Identity{"eui:24e124136d000001", "modbus:a/1"}, Contractor: "firm-a"})
	if err != nil || !strings.HasPrefix(string(file), "%PDF-") {
		t.Fatalf("%.20s, %v", file, err)
	}
	ls := w.engine.labels
	if len(ls) != 1 || ls[0].Device != "eui:24e124136d000001" || len(ls[0].Hash) != 64 || ls[0].Scope.Contractor != "firm-a" {
		t.Errorf("labels are %+v: want one, of the device that is nowhere installed", ls)
	}
	if _, err := w.client(admin).Labels(t.Context(), LabelsAsk{Points: []string{"none"}}); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a point that is not there: %v", err)
	}
	if _, err := w.client(admin).Labels(t.Context(), LabelsAsk{}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("nothing to print: %v", err)
	}
	if _, err := w.client("fire-token").Labels(t.Context(), LabelsAsk{Points: []string{"p1"}}); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("a fire unit: %v", err)
	}
}
