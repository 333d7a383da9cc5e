package coap

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	pskOne = "000102030405060708090a0b0c0d0e0f"
	pskTwo = "101112131415161718191a1b1c1d1e1f"
)

// keyed is a DTLS listener with the keys of sn:1 and sn:2 in a file of dir.
func keyed(t testing.TB, dir string) DTLS {
	t.Helper()
	path := filepath.Join(dir, "keys.yaml")
	writeKeys(t, path, "devices:\n  - {device: \"sn:1\", psk: \""+pskOne+"\"}\n  - {device: \"sn:2\", psk_identity: two, psk: \""+pskTwo+"\"}\n")
	return DTLS{Listen: "127.0.0.1:0", KeysFile: path, ReloadEvery: 10 * time.Millisecond}
}

func writeKeys(t testing.TB, path, text string) {
	t.Helper()
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}
