package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) deviceKey() *cobra.Command {
	return group("key", "Keys, passwords and certificates of devices", a.keyAdd(), a.keyList(), a.keyEnd(), a.keyImport())
}

// secretFile is where a secret goes that is shown once. It is made first: a secret that
// cannot be written would be lost.
type secretFile struct {
	path string
	f    *os.File // nil: no file
}

func newSecretFile(path string) (*secretFile, error) {
	if path == "" {
		return &secretFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return &secretFile{path, f}, err
}

// finish keeps the file if there is something in it.
func (s *secretFile) finish() error {
	if s.f == nil {
		return nil
	}
	info, err := s.f.Stat()
	err = errors.Join(err, s.f.Sync(), s.f.Close())
	if err == nil && info.Size() == 0 {
		return os.Remove(s.path)
	}
	return err
}

func (a *app) keyAdd() *cobra.Command {
	var ask api.CredentialAsk
	var kind, secret, certificate, expires, out string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "add <identity>", Short: "Give a device a key; those before it hold until it is used", Args: args(cobra.ExactArgs(1)),
		Long: "Give a device a key, a password or a certificate. Without --secret-file one is made and shown\n" +
			"this once: on the screen, or in the file --out. Keys of that kind that the device had hold on\n" +
			"until the new one is first used, and for --grace at most. See docs/credentials.md.",
		Example: "  gridgate device key add imei:867723030000017 --kind coap_psk\n" +
			"  gridgate device key add sn:door-4 --kind mqtt_password --out door-4.secret\n" +
			"  gridgate device key add imei:867723030000017 --kind x509 --certificate device.pem",
		RunE: func(cmd *cobra.Command, argv []string) (err error) {
			ask.Kind = grid.CredentialKind(kind)
			if !ask.Kind.Valid() {
				return usage(cmd, fmt.Errorf("--kind is %q: want coap_psk, mqtt_password or x509", kind))
			}
			if ask.Expires, err = ahead(expires); err != nil {
				return usage(cmd, fmt.Errorf("--expires: %w", err))
			}
			if err := a.readSecrets(&ask, secret, certificate); err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			file, err := newSecretFile(out)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.finish()) }()
			made, err := c.AddCredential(cmd.Context(), grid.Identity(argv[0]), ask, "", dryRun)
			if err != nil {
				return err
			}
			if file.f != nil && made.Secret != "" {
				if _, err := fmt.Fprintln(file.f, made.Secret); err != nil {
					return fmt.Errorf("credential %s is made, but its secret cannot be written: end it and make another: %w", made.ID, err)
				}
				made.Secret = ""
			}
			return a.show(made, func() { a.sayMade(&made, out) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "", "coap_psk, mqtt_password or x509")
	f.StringVar(&secret, "secret-file", "", "take the secret from this `file` (\"-\": standard input): hexadecimal of a coap_psk, the text of an mqtt_password")
	f.StringVar(&certificate, "certificate", "", "x509: the device's certificate, a PEM `file`")
	f.StringVar(&ask.Fingerprint, "fingerprint", "", "x509, instead: SHA-256 of the certificate, 64 hexadecimal `digits`")
	f.StringVar(&expires, "expires", "", "it holds for so long, for example `720h`, or until a time (default: until it is ended or replaced)")
	f.StringVar(&ask.Grace, "grace", "", "how long those before it hold if it is not used, for example `72h`; 0s ends them at once (default: the gateway's)")
	f.StringVar(&ask.Reason, "reason", "", "for the audit")
	f.StringVar(&out, "out", "", "write the secret into this new `file`, readable by its owner alone, and do not show it")
	f.BoolVar(&dryRun, "dry-run", false, "check everything and change nothing")
	return cmd
}

// readSecrets takes what is secret from files: the arguments of a command can be seen by others.
func (a *app) readSecrets(ask *api.CredentialAsk, secret, certificate string) error {
	if secret != "" {
		b, err := a.readFile(secret)
		if err != nil {
			return err
		}
		ask.Secret = grid.Secret(strings.TrimRight(string(b), "\r\n"))
	}
	if certificate != "" {
		b, err := a.readFile(certificate)
		if err != nil {
			return err
		}
		ask.Certificate = string(b)
	}
	return nil
}

// ahead reads "720h" or an RFC 3339 time; "" is the zero time.
func ahead(s string) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return time.Now().UTC().Add(d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if s != "" && err != nil {
		return time.Time{}, fmt.Errorf("time is %q: want 720h, or 2027-03-01T08:00:00Z", s)
	}
	return t, nil
}

func (a *app) sayMade(m *api.CredentialMade, out string) {
	switch {
	case m.DryRun:
		a.say("%s for %s is sound, nothing was changed", m.Kind, m.Device)
		return
	case m.Unchanged:
		a.say("%s has this %s already, as %s", m.Device, m.Kind, m.ID)
		return
	}
	a.say("%s has %s %s", m.Device, m.Kind, m.ID)
	switch {
	case m.Kind == grid.CoAPKey:
		a.say("PSK identity:  %s   (or %s#%s)", m.Login, m.Login, m.ID)
	case m.Kind == grid.MQTTPassword:
		a.say("user:  %s", m.Login)
	case m.Fingerprint != "":
		a.say("certificate with SHA-256 %s", m.Fingerprint)
	}
	switch {
	case m.Secret != "":
		a.say("secret, shown this once:  %s", m.Secret)
	case out != "":
		a.say("its secret is in %s", out)
	}
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use: "list <identity>", Short: "List a device's keys, without what is secret of them", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Credentials(cmd.Context(), grid.Identity(argv[0]))
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, v := range page.Items {
					detail := first(v.Why, v.Reason)
					if v.Fingerprint != "" {
						detail = strings.TrimSpace("sha256:" + v.Fingerprint[:min(16, len(v.Fingerprint))] + "… " + detail)
					}
					rows = append(rows, []string{v.ID, string(v.Kind), v.State, clock(v.Created), clock(v.Expires), clock(v.LastUsed), v.By.Name, dash(detail)})
				}
				a.table("no credentials", []string{"ID", "KIND", "STATE", "MADE", "EXPIRES", "USED", "BY", "WHY"}, rows)
			})
		},
	}
}

func (a *app) keyEnd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "end <identity> <id>", Short: "End a key; the device's session by it is closed", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.EndCredential(cmd.Context(), grid.Identity(argv[0]), argv[1], reason)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.say("%s %s of %s has ended: %s", v.Kind, v.ID, v.Device, v.Why) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for the audit")
	return cmd
}

// keyRow is one row of an import, and what became of it. It never has the secret.
type keyRow struct {
	Line     int                 `json:"line"`
	Device   grid.Identity       `json:"device"`
	Kind     grid.CredentialKind `json:"kind"`
	ID       string              `json:"id,omitempty"`
	Outcome  string              `json:"outcome"` // added, unchanged, sound, failed
	Error    string              `json:"error,omitempty"`
	ask      api.CredentialAsk
	unusable error
}

func (a *app) keyImport() *cobra.Command {
	var dryRun bool
	var grace, reason, out string
	cmd := &cobra.Command{
		Use: "import <file>", Short: "Give many devices keys, from a CSV file (\"-\": standard input)", Args: args(cobra.ExactArgs(1)),
		Long: "Give many devices keys, from a CSV file whose first line names its columns: identity and kind,\n" +
			"and any of secret, fingerprint (x509), expires. A row without a secret gets one made, which\n" +
			"needs --out. Each row is done by itself; one that the device has already is unchanged, so a\n" +
			"file may be imported again. Exit code 1 if a row failed.",
		Example: "  gridgate device key import keys.csv --dry-run",
		RunE: func(cmd *cobra.Command, argv []string) (err error) {
			b, err := a.readFile(argv[0])
			if err != nil {
				return err
			}
			rows, err := readKeyRows(string(b), out == "" && !dryRun)
			if err != nil {
				return fmt.Errorf("%s: %w", argv[0], err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			file, err := newSecretFile(out)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.finish()) }()
			failed, err := importKeys(cmd.Context(), c, rows, file, func(ask *api.CredentialAsk) { ask.Grace, ask.Reason = grace, reason }, dryRun)
			if err != nil {
				return err
			}
			if err := a.show(rows, func() { a.sayImported(rows, failed) }); err != nil || failed == 0 {
				return err
			}
			return fmt.Errorf("%d of %d rows failed", failed, len(rows))
		},
	}
	f := cmd.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "check each row and change nothing")
	f.StringVar(&grace, "grace", "", "how long those before hold if the new ones are not used, for example `72h`")
	f.StringVar(&reason, "reason", "", "for the audit")
	f.StringVar(&out, "out", "", "write secrets that are made into this new CSV `file`, readable by its owner alone")
	return cmd
}

// readKeyRows reads the file. Its errors do not show what is in a row.
func readKeyRows(text string, withSecrets bool) ([]keyRow, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the first line cannot be read: want identity,kind,secret")
	}
	column := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains([]string{"identity", "kind", "secret", "fingerprint", "expires"}, name) {
			return nil, fmt.Errorf("column %d is none of identity, kind, secret, fingerprint, expires", i+1) // perhaps a secret: not shown
		}
		column[name] = i
	}
	for _, name := range []string{"identity", "kind"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("the first line names no column %s", name)
		}
	}
	var rows []keyRow
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err // line and column alone
		}
		line, _ := r.FieldPos(0)
		rows = append(rows, keyRowOf(line, withSecrets, len(record) == len(head), func(name string) string {
			if i, ok := column[name]; ok && i < len(record) {
				return strings.TrimSpace(record[i])
			}
			return ""
		}))
	}
}

func keyRowOf(line int, withSecrets, whole bool, field func(string) string) keyRow {
	row := keyRow{Line: line, Device: grid.Identity(field("identity")), Kind: grid.CredentialKind(field("kind"))}
	row.ask = api.CredentialAsk{Kind: row.Kind, Secret: grid.Secret(field("secret")), Fingerprint: field("fingerprint")}
	row.ask.Expires, row.unusable = ahead(field("expires"))
	switch {
	case !whole:
		row.unusable = errors.New("want as many fields as the first line has")
	case !row.Kind.Valid():
		row.unusable = errors.New("kind: want coap_psk, mqtt_password or x509")
	case withSecrets && row.Kind != grid.Certificate && row.ask.Secret == "":
		row.unusable = errors.New("no secret: want one, or --out for those that are made")
	}
	return row
}

// importKeys does row by row. An error is one after which no row can succeed.
func importKeys(ctx context.Context, c *api.Client, rows []keyRow, file *secretFile, with func(*api.CredentialAsk), dryRun bool) (failed int, err error) {
	for i := range rows {
		row := &rows[i]
		made, err := api.CredentialMade{}, row.unusable
		if err == nil {
			with(&row.ask)
			made, err = c.AddCredential(ctx, row.Device, row.ask, "", dryRun)
		}
		switch {
		case errors.Is(err, api.ErrUnreachable), grid.CodeOf(err) == grid.Unauthorized && err != nil, ctx.Err() != nil:
			return failed, err
		case err != nil:
			row.Outcome, row.Error = "failed", err.Error()
			failed++
			continue
		case made.DryRun:
			row.Outcome = "sound"
		case made.Unchanged:
			row.Outcome, row.ID = "unchanged", made.ID
		default:
			row.Outcome, row.ID = "added", made.ID
		}
		if made.Secret != "" {
			if err := file.add(string(made.Device), string(made.Kind), made.ID, made.Secret); err != nil {
				return failed, fmt.Errorf("credential %s is made, but its secret cannot be written: %w", made.ID, err)
			}
		}
	}
	return failed, nil
}

// add writes one row, so that what is made is never only in memory.
func (s *secretFile) add(fields ...string) error {
	w := csv.NewWriter(s.f)
	if info, err := s.f.Stat(); err == nil && info.Size() == 0 {
		_ = w.Write([]string{"identity", "kind", "id", "secret"})
	}
	_ = w.Write(fields)
	w.Flush()
	return w.Error()
}

func (a *app) sayImported(rows []keyRow, failed int) {
	var out [][]string
	for _, r := range rows {
		out = append(out, []string{fmt.Sprint(r.Line), string(r.Device), string(r.Kind), r.Outcome, first(r.Error, r.ID)})
	}
	a.table("no rows", []string{"LINE", "DEVICE", "KIND", "OUTCOME", ""}, out)
	a.say("%d rows, %d failed", len(rows), failed)
}
