package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// Credentials gives devices their keys and passwords. A secret goes in, or comes out once;
// nothing gives it back later.
type Credentials interface {
	Add(ctx context.Context, n NewCredential) (CredentialMade, error)
	List(ctx context.Context, device grid.Identity) ([]CredentialView, error)
	End(ctx context.Context, device grid.Identity, id string, by grid.Actor, reason string) (CredentialView, error)
}

// CredentialAsk asks for a credential of a device. No text of it is checked by the schema:
// what refuses a body quotes it.
type CredentialAsk struct {
	Kind        grid.CredentialKind `json:"kind" doc:"coap_psk, mqtt_password or x509."`
	Secret      grid.Secret         `json:"secret,omitempty" doc:"coap_psk: 32 to 128 hexadecimal digits; mqtt_password: 16 to 128 characters. Without it one is made and shown in the answer, this once."`
	Certificate string              `json:"certificate,omitempty" doc:"x509: the device's certificate, PEM."`
	Fingerprint string              `json:"fingerprint,omitempty" doc:"x509, instead: SHA-256 of the certificate, 64 hexadecimal digits."`
	Expires     time.Time           `json:"expires,omitzero" doc:"It holds until then; default: until it is ended or replaced."`
	Grace       string              `json:"grace,omitempty" doc:"How long those before it hold on if it is not used, such as 72h; 0s ends them at once. Default: credentials.grace of the configuration."`
	Reason      string              `json:"reason,omitempty" doc:"For the audit."`
}

// NewCredential is CredentialAsk with what is around it.
type NewCredential struct {
	CredentialAsk
	Device grid.Identity
	By     grid.Actor
	Key    string // makes it safe to repeat
	DryRun bool   // checks, and changes nothing
}

// CredentialView is a credential as anyone may see it.
type CredentialView struct {
	grid.Credential
	State string `json:"state" enum:"holds,replaced,expired,ended" doc:"replaced: it holds until its successor is used, or until it expires."`
	Login string `json:"login,omitempty" doc:"What the device says: the PSK identity, or the MQTT user. A PSK identity may also name one key: the identity, # and the id."`
}

// CredentialMade answers who asked for one.
type CredentialMade struct {
	CredentialView
	Secret    string `json:"secret,omitempty" doc:"One that was made, shown this once: hexadecimal of a coap_psk, the text of an mqtt_password."`
	Unchanged bool   `json:"unchanged,omitempty" doc:"The device had exactly this one, or the same Idempotency-Key was used before: its secret is not shown again."`
	DryRun    bool   `json:"dry_run,omitempty"`
}

// credentialRoutes: keys, passwords and certificates of devices.
func (s *Server) credentialRoutes(api huma.API) {
	const path = "/devices/{id}/credentials"
	route(s, api, admins, answerWithin, get(path, "list-credentials", "devices", "Keys, passwords and certificates of a device, without what is secret of them"), s.credentials)
	route(s, api, admins, answerWithin, post(path, "add-credential", "devices", "Give a device a key, a password or a certificate; those before it hold until it is used"), s.addCredential)
	end := get(path+"/{credential}", "end-credential", "devices", "End a credential: the device's session by it is closed")
	end.Method, end.DefaultStatus = http.MethodDelete, http.StatusOK
	route(s, api, admins, answerWithin, end, s.endCredential)
}

// keys is who gives credentials.
func (s *Server) keys() (Credentials, error) {
	if s.Credentials == nil {
		return nil, grid.Errorf(grid.Unavailable, "credentials: %w", errors.ErrUnsupported)
	}
	return s.Credentials, nil
}

func (s *Server) credentials(ctx context.Context, _ grid.Actor, in *idInput) (*body[Page[CredentialView]], error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	items, err := keys.List(ctx, grid.Identity(in.ID))
	return &body[Page[CredentialView]]{Page[CredentialView]{Items: append([]CredentialView{}, items...)}}, err
}

type addCredentialInput struct {
	ID     string `path:"id"`
	DryRun bool   `query:"dry_run" doc:"Check everything and change nothing."`
	Key    string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once, and the secret is not shown again."`
	Body   CredentialAsk
}

// credentialAnswer is kept by nobody on its way.
type credentialAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         CredentialMade
}

func (s *Server) addCredential(ctx context.Context, by grid.Actor, in *addCredentialInput) (*credentialAnswer, error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	made, err := keys.Add(ctx, NewCredential{CredentialAsk: in.Body, Device: grid.Identity(in.ID), By: by, Key: in.Key, DryRun: in.DryRun})
	return &credentialAnswer{"no-store", made}, err
}

type endCredentialInput struct {
	ID         string `path:"id"`
	Credential string `path:"credential"`
	Reason     string `query:"reason" maxLength:"1000" doc:"For the audit."`
}

func (s *Server) endCredential(ctx context.Context, by grid.Actor, in *endCredentialInput) (*body[CredentialView], error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	ended, err := keys.End(ctx, grid.Identity(in.ID), in.Credential, by, in.Reason)
	return &body[CredentialView]{ended}, err
}
