package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/internal/api"
	"gridgate/internal/gateway"
)

const keyDevice = "eui:24e124136d490175"

// keyGateway is a gateway with a device.
func keyGateway(t *testing.T) (cli, gateway.Config) {
	g, cfg := realGateway(t)
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}}
	c.run(0, "device", "import", file(t, "r.yaml", registryFile))
	return c, cfg
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretIsShownOnceAndNeverAgain(t *testing.T) {
	c, cfg := keyGateway(t)
	out, _ := c.run(0, "device", "key", "add", keyDevice, "--kind", "coap_psk", "--json", "--reason", "new")
	var made api.CredentialMade
	if err := json.Unmarshal([]byte(out), &made); err != nil || len(made.Secret) != 32 || made.Login != keyDevice {
		t.Fatalf("made %+v, %v", made, err)
	}
	path := filepath.Join(t.TempDir(), "password")
	shown, _ := c.run(0, "device", "key", "add", keyDevice, "--kind", "mqtt_password", "--out", path)
	password, err := os.ReadFile(path)
	if err != nil || len(password) < 26 || strings.Contains(shown, strings.TrimSpace(string(password))) {
		t.Errorf("password of %d characters, %v; shown: %s", len(password), err, shown)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	c.run(1, "device", "key", "add", keyDevice, "--kind", "mqtt_password", "--out", path) // not over another
	list, _ := c.run(0, "device", "key", "list", keyDevice)
	if !strings.Contains(list, made.ID) || strings.Count(list, " holds ") != 2 {
		t.Errorf("list:\n%s", list)
	}
	listJSON, _ := c.run(0, "device", "key", "list", keyDevice, "--json")
	ended, _ := c.run(0, "device", "key", "end", keyDevice, made.ID, "--reason", "seen by a stranger")
	if !strings.Contains(ended, "has ended: seen by a stranger") {
		t.Errorf("end: %s", ended)
	}
	c.run(1, "device", "key", "end", "eui:0000000000000000", made.ID) // another's
	c.run(1, "device", "key", "end", keyDevice, "none")
	c.run(1, "device", "key", "list", "eui:0000000000000000")
	c.run(2, "device", "key", "add", keyDevice, "--kind", "door")
	c.run(2, "device", "key", "add", keyDevice, "--kind", "coap_psk", "--expires", "soon")
	secrets := []string{made.Secret, strings.TrimSpace(string(password))}
	for _, secret := range secrets {
		if strings.Contains(list+listJSON+ended, secret) {
			t.Error("a secret is shown again")
		}
	}
	key, err := hex.DecodeString(made.Secret)
	if err != nil {
		t.Fatal(err)
	}
	inFiles(t, cfg.DataDir, append(secrets, string(key)))
}

// inFiles wants no secret in any file of a data folder.
func inFiles(t *testing.T, dir string, secrets []string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		n++
		for _, secret := range secrets {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s has a secret in it", path)
			}
		}
		return err
	})
	if err != nil || n < 3 {
		t.Errorf("%d files looked at, %v", n, err)
	}
}

func TestKeysAreImportedRowByRow(t *testing.T) {
	c, _ := keyGateway(t)
	const good = "00112233445566778899aabbccddeeff"
	c.run(0, "device", "add", "eui:24e124136d490999", "--profile", "milesight/ws301", "--mode", "test")
	rows := file(t, "keys.csv", "\ufeffIdentity,kind,secret\n"+
		"EUI:24E124136D490175,coap_psk,"+good+"\n"+
		"eui:24e124136d490999,mqtt_password,a password of many words\n"+
		"eui:24e124136d490999,coap_psk,not hexadecimal 12345\n"+
		"eui:24e124136d490999,door,"+good+"\n"+
		"eui:24e124136d490999,coap_psk\n"+
		"eui:0000000000000000,coap_psk,"+good+"\n"+
		"eui:24e124136d490999,coap_psk,\n")
	for _, step := range []struct {
		args    []string
		outcome string
	}{
		{[]string{"--dry-run"}, "sound sound failed failed failed failed sound"}, // one would be made
		{nil, "added added failed failed failed failed failed"},
		{nil, "unchanged unchanged failed failed failed failed failed"}, // the same file again
	} {
		out, errOut := c.run(1, append([]string{"device", "key", "import", "--json", rows}, step.args...)...)
		var got []keyRow
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var outcomes []string
		for _, r := range got {
			outcomes = append(outcomes, r.Outcome)
		}
		if s := strings.Join(outcomes, " "); s != step.outcome {
			t.Errorf("import %v: %s; want %s\n%s", step.args, s, step.outcome, out)
		}
		for _, secret := range []string{good, "many words", "not hexadecimal"} {
			if strings.Contains(out+errOut, secret) {
				t.Errorf("import %v shows %q", step.args, secret)
			}
		}
	}
	made := filepath.Join(t.TempDir(), "made.csv")
	out, _ := c.run(0, "device", "key", "import", file(t, "more.csv", "kind,identity\nmqtt_password,"+keyDevice+"\ncoap_psk,eui:24e124136d490999\n"), "--out", made)
	b, err := os.ReadFile(made)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if err != nil || len(lines) != 3 || lines[0] != "identity,kind,id,secret" || !strings.HasPrefix(lines[2], "eui:24e124136d490999,coap_psk,") {
		t.Errorf("made: %q, %v", lines, err)
	}
	if !strings.Contains(out, "2 rows, 0 failed") {
		t.Errorf("import says: %s", out)
	}
	for _, text := range []string{"", "identity,secret\n", "identity,kind," + good + "\n"} {
		if _, errOut := c.run(1, "device", "key", "import", file(t, "bad.csv", text)); strings.Contains(errOut, good) {
			t.Errorf("error shows a secret: %s", errOut)
		}
	}
}

func TestRestoreSaysThatTheKeyFileIsMissing(t *testing.T) {
	c, _ := keyGateway(t)
	c.run(0, "device", "key", "add", keyDevice, "--kind", "coap_psk")
	backup, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	c.run(0, "backup", backup)
	if _, err := os.Stat(filepath.Join(backup, "secret.key")); err == nil {
		t.Error("the backup has the key file")
	}
	there := cli{T: t, environ: []string{"GRIDGATE_DATA_DIR=" + restored}}
	out, _ := there.run(0, "restore", backup)
	if want := filepath.Join(restored, "secret.key"); !strings.Contains(out, "1 keys and passwords of devices cannot be read") || !strings.Contains(out, want) {
		t.Errorf("restore says: %s; want the number, and %s", out, want)
	}
	second, secondCfg := gatewayIn(t, restored)
	environ := []string{"GRIDGATE_API=http://" + second.APIAddr(), "GRIDGATE_DATA_DIR=" + secondCfg.DataDir}
	if out, _ := (cli{T: t, environ: environ}).run(1, "check"); !strings.Contains(out, "secret.key is missing") {
		t.Errorf("check says: %s", out)
	}
	if _, errOut := (cli{T: t, environ: environ}).run(1, "device", "key", "add", keyDevice, "--kind", "coap_psk"); !strings.Contains(errOut, "is missing") {
		t.Errorf("a new key without the key file: %s", errOut)
	}
	if _, err := os.Stat(secondCfg.KeyFilePath()); err == nil {
		t.Error("another key file was made, which hides that the right one is missing")
	}
}
