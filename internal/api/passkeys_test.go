package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// securityKey is an authenticator in software: one key, for one host.
type securityKey struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	id    []byte
	user  string
	count uint32
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type asked struct {
	Flow    string `json:"flow"`
	Options struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
			RPID      string `json:"rpId"`
			RP        struct {
				ID string `json:"id"`
			} `json:"rp"`
			User struct {
				ID string `json:"id"`
			} `json:"user"`
		} `json:"publicKey"`
	} `json:"options"`
}

func (k *securityKey) client(kind, challenge, origin string) []byte {
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false})
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func (k *securityKey) data(host string, flags byte, more []byte) []byte {
	sum := sha256.Sum256([]byte(host))
	k.count++
	out := append(sum[:], flags)
	return append(binary.BigEndian.AppendUint32(out, k.count), more...)
}

func (k *securityKey) cbor(v any) []byte {
	b, err := cbor.Marshal(v)
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

const present, verified, attested = 0x01, 0x04, 0x40

// make answers navigator.credentials.create.
func (k *securityKey) make(a asked, origin string) string {
	var err error
	if k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		k.t.Fatal(err)
	}
	k.id = make([]byte, 16)
	rand.Read(k.id)
	k.user = a.Options.PublicKey.User.ID
	point, err := k.key.PublicKey.Bytes()
	if err != nil {
		k.t.Fatal(err)
	}
	public := k.cbor(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	more := append(make([]byte, 16), 0, byte(len(k.id)))
	more = append(append(more, k.id...), public...)
	object := k.cbor(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": k.data(a.Options.PublicKey.RP.ID, present|verified|attested, more)})
	return k.json(map[string]any{"clientDataJSON": b64(k.client("webauthn.create", a.Options.PublicKey.Challenge, origin)), "attestationObject": b64(object)})
}

// show answers navigator.credentials.get.
func (k *securityKey) show(a asked, origin string, flags byte) string {
	client := k.client("webauthn.get", a.Options.PublicKey.Challenge, origin)
	data := k.data(a.Options.PublicKey.RPID, flags, nil)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, k.key, sum[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return k.json(map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(sig), "userHandle": k.user})
}

func (k *securityKey) json(response map[string]any) string {
	b, err := json.Marshal(map[string]any{"id": b64(k.id), "rawId": b64(k.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}})
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b)
}

func TestAPersonSignsOnWithAPasskey(t *testing.T) {
	e := newEntrance(t)
	e.url = strings.Replace(e.url, "127.0.0.1", "localhost", 1)
	b := e.browser().signOn("lin")
	ask := func(b *browser, path string) (a asked) {
		t.Helper()
		if err := json.Unmarshal([]byte(b.want(200, "POST", path, "")), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	finish := func(flow, credential string) string {
		return `{"flow":"` + flow + `","name":"desk key","credential":` + credential + `}`
	}
	key := &securityKey{t: t}
	a := ask(b, "/session/passkeys/begin")
	made := finish(a.Flow, key.make(a, e.url))
	b.want(200, "POST", "/session/passkeys/finish", made)
	b.want(401, "POST", "/session/passkeys/finish", made) // once
	if said := b.want(200, "GET", "/session/passkeys", ""); !strings.Contains(said, `"desk key"`) || strings.Contains(said, "publicKey") {
		t.Error(said)
	}

	other := e.browser()
	if said := other.want(200, "GET", "/session/ways", ""); !strings.Contains(said, `"passkey":true`) {
		t.Error(said)
	}
	for what, refused := range map[string]func(asked) string{
		"a page of another origin":    func(a asked) string { return key.show(a, "https://evil.example", present|verified) },
		"nobody has unlocked the key": func(a asked) string { return key.show(a, e.url, present) },
		"an answer to another request": func(asked) string {
			return key.show(ask(e.browser(), "/session/passkey/begin"), e.url, present|verified)
		},
	} {
		a := ask(other, "/session/passkey/begin")
		if res, said := other.ask("POST", "/session/passkey/finish", finish(a.Flow, refused(a))); res.StatusCode != 401 {
			t.Errorf("%s: %d %s", what, res.StatusCode, said)
		}
	}
	a = ask(other, "/session/passkey/begin")
	shown := finish(a.Flow, key.show(a, e.url, present|verified))
	if said := other.want(200, "POST", "/session/passkey/finish", shown); !strings.Contains(said, `"name":"lin"`) {
		t.Error(said)
	}
	other.want(200, "GET", "/alarms", "")
	e.browser().want(401, "POST", "/session/passkey/finish", shown) // the same again

	a = ask(other, "/session/passkey/begin")
	key.count = 0 // a copy of the key, which counts by itself
	e.browser().want(401, "POST", "/session/passkey/finish", finish(a.Flow, key.show(a, e.url, present|verified)))
	e.now = e.now.Add(10 * 60e9)
	e.browser().want(401, "POST", "/session/passkey/finish", finish(a.Flow, key.show(a, e.url, present|verified)))
}
