package grid

import (
	"log/slog"
	"time"
)

// CredentialKind says by what a device shows who it is.
type CredentialKind string

const (
	CoAPKey      CredentialKind = "coap_psk"      // a pre-shared key of DTLS
	MQTTPassword CredentialKind = "mqtt_password" // for the embedded broker; the user is the identity
	Certificate  CredentialKind = "x509"          // one certificate, by its fingerprint; DTLS and the embedded broker
)

// Valid reports whether it is one of the kinds.
func (k CredentialKind) Valid() bool { return k == CoAPKey || k == MQTTPassword || k == Certificate }

// Credential is one key, password or certificate of one device. What is secret of it is
// sealed or hashed; nothing else of the gateway has it.
type Credential struct {
	ID          string         `json:"id"`
	Device      Identity       `json:"device"`
	Kind        CredentialKind `json:"kind" enum:"coap_psk,mqtt_password,x509"`
	Fingerprint string         `json:"fingerprint,omitempty" doc:"Of the certificate: SHA-256, 64 hexadecimal digits."`
	Created     time.Time      `json:"created"`
	Expires     time.Time      `json:"expires,omitzero" doc:"It holds until then at most."`
	Replaced    string         `json:"replaced_by,omitempty" doc:"The credential that takes its place: this one ends when that one is first used, or when it expires."`
	Ended       time.Time      `json:"ended,omitzero"`
	Why         string         `json:"why_ended,omitempty"`
	LastUsed    time.Time      `json:"last_used,omitzero" doc:"To the hour; the first use at once."`
	By          Actor          `json:"by"`
	Reason      string         `json:"reason,omitempty"`

	Sealed []byte `json:"-"` // see package auth
}

// Holds reports whether it lets its device in at a time, as far as it alone can tell.
func (c *Credential) Holds(now time.Time) bool {
	return c.Ended.IsZero() && (c.Expires.IsZero() || now.Before(c.Expires))
}

// State is how it stands: "holds", "replaced" (it holds, for now), "expired" or "ended".
func (c *Credential) State(now time.Time) string {
	switch {
	case !c.Ended.IsZero():
		return "ended"
	case !c.Holds(now):
		return "expired"
	case c.Replaced != "":
		return "replaced"
	}
	return "holds"
}

// CredentialUse is that a device came in by a credential.
type CredentialUse struct {
	ID string
	At time.Time
}

// DeviceKey is a key that holds, opened.
type DeviceKey struct {
	ID     string // of the credential
	Secret []byte
}

// Secret is text that is not shown when something prints or logs it.
type Secret string

func (Secret) String() string       { return "(secret)" }
func (Secret) GoString() string     { return "(secret)" }
func (Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }
