package coap

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/plgd-dev/go-coap/v3/udp"

	"gridgate/internal/gatetest"
)

// poster is a client of go-coap.
type poster interface {
	Post(ctx context.Context, path string, format message.MediaType, payload io.ReadSeeker, opts ...message.Option) (*pool.Message, error)
	Close() error
}

func TestClientOfGoCoAP(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", DTLS: keyed(t, t.TempDir())}, &in)
	whole := text(20_000)
	for name, connect := range map[string]func() (poster, error){
		"UDP": func() (poster, error) { return udp.Dial(tr.Addr("udp")) },
		"TCP": func() (poster, error) { return tcp.Dial(tr.Addr("tcp")) },
		"DTLS": func() (poster, error) {
			return dtls.Dial(tr.Addr("dtls"), dtls.NewDTLSClientOptions(withKey("sn:1", pskOne)...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := connect()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			path := "/up/sn:3"
			if name == "DTLS" {
				path = "/up/sn:1"
			}
			for _, payload := range []string{"x", whole} {
				before := len(in.Frames())
				got, err := c.Post(ctx, path, message.AppJSON, strings.NewReader(payload), message.Option{ID: message.URIQuery, Value: []byte("port=2")})
				if err != nil || got.Code() != codes.Changed {
					t.Fatalf("answer %v: %v", got, err)
				}
				f := in.Frames()
				if len(f) != before+1 || string(f[before].Raw) != payload || f[before].Address != path+"?port=2&ct=50" {
					t.Errorf("%d frames, the last of %d bytes from %s", len(f)-before, len(f[len(f)-1].Raw), f[len(f)-1].Address)
				}
			}
		})
	}
}
