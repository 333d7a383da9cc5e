package coap

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// libcoap runs one of libcoap's clients, a program written by others. It skips the test
// when there is none, unless peers are required.
func libcoap(t *testing.T, program string, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
			t.Fatalf("%s is not installed, and GRIDGATE_REQUIRE_PEERS=1", program)
		}
		t.Skipf("%s is not installed", program)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, append([]string{"-B", "15"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func TestLibcoapOverUDP(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	url := "coap://" + tr.Addr("udp")
	const client = "coap-client-notls"
	if out := libcoap(t, client, "-v", "7", "-m", "post", "-t", "50", "-e", `{"t":1}`, url+"/up/sn:1?port=3"); !strings.Contains(out, "2.04") {
		t.Errorf("no 2.04:\n%s", out)
	}
	if out := libcoap(t, client, "-v", "7", "-N", "-m", "put", "-t", "42", "-e", "non", url+"/up/sn:1"); !strings.Contains(out, "2.04") {
		t.Errorf("no 2.04 for NON:\n%s", out)
	}
	if out := libcoap(t, client, url+"/.well-known/core"); !strings.Contains(out, "</up>") {
		t.Errorf("links: %s", out)
	}
	if out := libcoap(t, client, "-m", "post", "-e", "x", url+"/up/nobody"); !strings.Contains(out, "4.00") || !strings.Contains(out, "no kind") {
		t.Errorf("reason: %s", out)
	}
	f := in.Wait(t, 2)
	if string(f[0].Raw) != `{"t":1}` || f[0].Address != "/up/sn:1?port=3&ct=50" || f[0].Flags != 0 {
		t.Errorf("CON: %+v", f[0])
	}
	if string(f[1].Raw) != "non" || f[1].Address != "/up/sn:1?ct=42" || f[1].Flags != grid.Unacknowledged {
		t.Errorf("NON: %+v", f[1])
	}
}

func TestLibcoapUploadsInBlocks(t *testing.T) {
	for _, size := range []string{"64", "1024"} {
		for _, kind := range []string{"con", "non"} {
			t.Run(size+kind, func(t *testing.T) {
				var in gatetest.Inbox
				tr, _ := start(t, Config{Burst: 1000}, &in)
				whole := text(5000)
				file := filepath.Join(t.TempDir(), "payload")
				if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
					t.Fatal(err)
				}
				args := []string{"-b", size, "-m", "post", "-t", "110", "-f", file, "coap://" + tr.Addr("udp") + "/up/sn:1"}
				if kind == "non" {
					args = append([]string{"-N"}, args...)
				}
				libcoap(t, "coap-client-notls", args...)
				if f := in.Wait(t, 1); len(f) != 1 || string(f[0].Raw) != whole || f[0].Address != "/up/sn:1?ct=110" {
					t.Errorf("%d frames, the first has %d bytes", len(f), len(f[0].Raw))
				}
			})
		}
	}
}

func TestLibcoapOverDTLSWithAKey(t *testing.T) {
	for _, client := range []string{"coap-client-openssl", "coap-client-gnutls"} {
		t.Run(client, func(t *testing.T) {
			var in gatetest.Inbox
			cfg := keyed(t, t.TempDir())
			writeKeys(t, cfg.KeysFile, "devices:\n  - {device: \"sn:1\", psk_identity: one, psk: \"73656372657420313233343536373839\"}\n")
			tr, _ := start(t, Config{DTLS: cfg}, &in)
			url := "coaps://" + tr.Addr("dtls")
			key := []string{"-u", "one", "-k", "secret 123456789"}
			libcoap(t, client, append(key, "-m", "post", "-e", "x", url+"/up/sn:1")...)
			whole := text(3000)
			file := filepath.Join(t.TempDir(), "payload")
			if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
				t.Fatal(err)
			}
			libcoap(t, client, append(key, "-b", "256", "-m", "post", "-f", file, url+"/up/sn:1")...)
			if out := libcoap(t, client, append(key, "-m", "post", "-e", "spoofed", url+"/up/sn:2")...); !strings.Contains(out, "4.03") {
				t.Errorf("answer: %s", out)
			}
			if got := ends(&in); len(got) != 2 || got[0] != "x" || got[1] != whole {
				t.Errorf("%d frames", len(got))
			}
		})
	}
}

func TestLibcoapOverDTLSWithACertificate(t *testing.T) {
	a := newAuthority(t, "ca")
	a.issue(t, "gateway")
	a.issue(t, "sn:5")
	var in gatetest.Inbox
	cfg := DTLS{Listen: "127.0.0.1:0", Cert: a.file("gateway.pem"), Key: a.file("gateway.key"), ClientCA: a.file("ca.pem")}
	tr, _ := start(t, Config{DTLS: cfg}, &in)
	libcoap(t, "coap-client-openssl", "-c", a.file("sn_5.pem"), "-j", a.file("sn_5.key"), "-C", a.file("ca.pem"),
		"-m", "post", "-e", "x", "coaps://"+tr.Addr("dtls")+"/up/sn:5")
	in.Wait(t, 1)
}

func TestLibcoapOverTCP(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{TCP: "127.0.0.1:0"}, &in)
	whole := text(3000)
	file := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	libcoap(t, "coap-client-notls", "-m", "post", "-e", "x", "coap+tcp://"+tr.Addr("tcp")+"/up/sn:1")
	libcoap(t, "coap-client-notls", "-m", "post", "-f", file, "coap+tcp://"+tr.Addr("tcp")+"/up/sn:1")
	if f := in.Wait(t, 2); string(f[1].Raw) != whole {
		t.Errorf("upload has %d bytes", len(f[1].Raw))
	}
}

// A device that is client and server at one port, as the two programs of libcoap.
func TestLibcoapServerTakesAPayload(t *testing.T) {
	server, err := exec.LookPath("coap-server-notls")
	if err != nil {
		if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
			t.Fatal("coap-server-notls is not installed, and GRIDGATE_REQUIRE_PEERS=1")
		}
		t.Skip("coap-server-notls is not installed")
	}
	for _, size := range []int{4, 3000} {
		tr, _ := start(t, Config{}, &gatetest.Inbox{})
		_, port, _ := net.SplitHostPort(freeUDP(t))
		libcoap(t, "coap-client-notls", "-a", "127.0.0.1", "-p", port, "-m", "post", "-e", "x", "coap://"+tr.Addr("udp")+"/up/sn:1")
		run := exec.CommandContext(t.Context(), server, "-A", "127.0.0.1", "-p", port, "-d", "1")
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		whole := text(size)
		got := outcomeOf(t, tell(t, tr, payloadOrder("sn:1", whole))) // repeated until the server is there
		if got.err != nil || got.sent.State != grid.DownlinkAcknowledged || got.sent.Answer != "2.01 created" {
			t.Errorf("%d bytes: %+v %v", size, got.sent, got.err)
		}
		if out := libcoap(t, "coap-client-notls", "coap://127.0.0.1:"+port+"/down"); strings.TrimSuffix(out, "\n") != whole {
			t.Errorf("the device has %d bytes, want %d", len(out), len(whole))
		}
		_ = run.Process.Kill()
		_ = run.Wait()
	}
}
