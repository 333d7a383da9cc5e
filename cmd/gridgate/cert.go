package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/cert"
	"gridgate/internal/gateway"
	"gridgate/internal/grid"
)

func (a *app) certCommand() *cobra.Command {
	return group("cert", "Certificates: a local authority for sites that no public one serves", a.certCA(), a.certServer(), a.certDevice(), a.certList(), a.certRevoke(), a.certRenew())
}

func (a *app) certCA() *cobra.Command {
	var name string
	var permit []string
	cmd := &cobra.Command{
		Use: "ca", Short: "Make the local authority, or show the one that is there", Args: args(cobra.NoArgs),
		Long: "Make a certificate authority in <data_dir>/ca, or show the one that is there with the\n" +
			"fingerprint that people compare before they install it (/ca on the gateway). It can vouch for\n" +
			"the names and networks of --permit alone; its key is sealed under the key file (secret.key).",
		Example: "  gridgate cert ca --name \"Jing'an district\" --permit lan --permit 10.20.0.0/16",
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			made := false
			ca, err := cfg.Authority(time.Now)
			if grid.CodeOf(err) == grid.NotFound {
				ca, err = cfg.MakeAuthority(name, permit, time.Now)
				made = true
			}
			if err != nil {
				return err
			}
			if !made && len(permit) > 0 {
				return grid.Errorf(grid.Conflict, "the authority is there already: what it may vouch for cannot change, as people have installed it")
			}
			return a.show(map[string]any{
				"name": ca.Cert.Subject.CommonName, "ends": ca.Cert.NotAfter.UTC(), "fingerprint": cert.Fingerprint(ca.Cert), "permits": ca.Permits(),
				"file": cert.RootPath(cfg.CADir()), "made": made,
			}, func() { a.sayAuthority(&cfg, ca, made) })
		},
	}
	cmd.Flags().StringVar(&name, "name", "gridgate", "what telephones show when it is installed")
	cmd.Flags().StringArrayVar(&permit, "permit", nil, "a `domain or network` that it may vouch for; may be given again (default: lan, local, internal, home.arpa, localhost and the private networks)")
	return cmd
}

func (a *app) sayAuthority(cfg *gateway.Config, ca *cert.Authority, made bool) {
	if made {
		a.say("made the authority %q", ca.Cert.Subject.CommonName)
	} else {
		a.say("authority %q", ca.Cert.Subject.CommonName)
	}
	a.say("  holds until  %s", ca.Cert.NotAfter.UTC().Format(time.DateOnly))
	a.say("  vouches for  %s", strings.Join(ca.Permits(), ", "))
	a.say("  SHA-256      %s", cert.Fingerprint(ca.Cert))
	a.say("  SHA-1        %s", cert.Thumbprint(ca.Cert))
	a.say("  certificate  %s", cert.RootPath(cfg.CADir()))
	if l := cfg.HTTP.Listen; l != "" {
		a.say("  to install   http://%s/ca", l)
	}
	if made {
		a.say("next: gridgate cert server <name or address of this gateway>")
	}
}

func (a *app) certServer() *cobra.Command {
	var w cert.Wish
	cmd := &cobra.Command{
		Use: "server <name or address>...", Short: "Issue a certificate for a server", Args: args(cobra.MinimumNArgs(1)),
		Long: "Issue a certificate for the names and addresses by which a server is reached, in\n" +
			"<data_dir>/ca/server. The running gateway renews it there in the last third of its time.\n" +
			"The one named gateway is what http.tls takes where it names no other.",
		Example: "  gridgate cert server gridgate.lan 192.168.1.20",
		RunE: func(_ *cobra.Command, argv []string) error {
			_, ca, err := a.authority()
			if err != nil {
				return err
			}
			w.For, w.Hosts = cert.ForServer, argv
			i, err := ca.Issue(w)
			if err != nil {
				return err
			}
			return a.show(i, func() {
				a.say("certificate of %s, until %s", strings.Join(i.Hosts, ", "), i.Ends.Format(time.DateOnly))
				a.say("  cert  %s", i.Cert)
				a.say("  key   %s", i.Key)
				if w.Name == "gateway" {
					a.say("in force with  http: {tls: {listen: \"0.0.0.0:8443\"}}")
				}
			})
		},
	}
	cmd.Flags().StringVar(&w.Name, "name", "gateway", "of its files")
	cmd.Flags().DurationVar(&w.Lasts, "lasts", cert.ServerLasts, "for so long, 19800h at most")
	return cmd
}

func (a *app) authority() (gateway.Config, *cert.Authority, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return cfg, nil, err
	}
	ca, err := cfg.Authority(time.Now)
	return cfg, ca, err
}

func (a *app) certDevice() *cobra.Command {
	var lasts time.Duration
	var grace string
	cmd := &cobra.Command{
		Use: "device <identity>", Short: "Issue a certificate for a device, and let it in by it", Args: args(cobra.ExactArgs(1)),
		Long: "Issue a certificate and key for a device, in <data_dir>/ca/device, and register it with the\n" +
			"running gateway. One that the device had holds on until the new one is first used, and for\n" +
			"--grace at most. The key is to be brought to the device and deleted here.",
		Example: "  gridgate cert device sn:panel-3",
		RunE: func(cmd *cobra.Command, argv []string) error {
			_, ca, err := a.authority()
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			// The device must be known before there is a key that nobody takes.
			if _, err := c.Credentials(cmd.Context(), grid.Identity(argv[0])); err != nil {
				return err
			}
			i, err := ca.Issue(cert.Wish{For: cert.ForDevice, Name: argv[0], Lasts: lasts})
			if err != nil {
				return err
			}
			made, err := c.AddCredential(cmd.Context(), grid.Identity(argv[0]), api.CredentialAsk{
				Kind: grid.Certificate, Fingerprint: i.Fingerprint, Expires: i.Ends, Grace: grace, Reason: "certificate " + i.Serial,
			}, "", false)
			if err != nil {
				return fmt.Errorf("certificate %s is issued and not registered: %w", i.Serial, err)
			}
			return a.show(map[string]any{"certificate": i, "credential": made.ID}, func() {
				a.say("%s comes in by certificate %s until %s (credential %s)", i.Name, i.Serial, i.Ends.Format(time.DateOnly), made.ID)
				a.say("  cert  %s", i.Cert)
				a.say("  key   %s   (bring it to the device, then delete it)", i.Key)
			})
		},
	}
	cmd.Flags().DurationVar(&lasts, "lasts", cert.DeviceLasts, "for so long")
	cmd.Flags().StringVar(&grace, "grace", "", "how long the one before holds if the new one is not used, for example `720h` (default: the gateway's)")
	return cmd
}

func (a *app) certList() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use: "list", Short: "List certificates: those the configuration names, and those that were issued", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			now := time.Now()
			named := cfg.Certificates(now)
			var issued []cert.Issued
			if ca, err := cfg.Authority(time.Now); err == nil {
				if issued, err = ca.List(); err != nil {
					return err
				}
			} else if grid.CodeOf(err) != grid.NotFound {
				return err
			}
			credentials, err := cfg.EndingCredentials(cmd.Context(), slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			if within > 0 {
				named = keep(named, func(e cert.Ending) bool { return e.Ends.Before(now.Add(within)) })
				issued = keep(issued, func(i cert.Issued) bool { return i.State == "holds" && i.Ends.Before(now.Add(within)) })
				credentials = keep(credentials, func(c grid.Credential) bool { return c.Expires.Before(now.Add(within)) })
			}
			return a.show(map[string]any{"named": named, "issued": issued, "credentials": credentials}, func() { a.sayCertificates(named, issued, credentials) })
		},
	}
	cmd.Flags().DurationVar(&within, "within", 0, "only those that end within this time, for example `720h`")
	return cmd
}

func keep[T any](all []T, want func(T) bool) (out []T) {
	for _, v := range all {
		if want(v) {
			out = append(out, v)
		}
	}
	return out
}

func (a *app) sayCertificates(named []cert.Ending, issued []cert.Issued, credentials []grid.Credential) {
	var rows [][]string
	for _, e := range named {
		rows = append(rows, []string{e.What, day(e.Ends), string(e.Level), first(e.Error, e.Name), strings.Join(e.Hosts, " ")})
	}
	a.table("the configuration names none", []string{"NAMED BY", "ENDS", "", "NAME", "FOR"}, rows)
	rows = nil
	for _, i := range issued {
		rows = append(rows, []string{i.Serial[:min(12, len(i.Serial))], string(i.For), i.Name, day(i.Ends), i.State, strings.Join(i.Hosts, " "), i.Why})
	}
	a.table("none was issued", []string{"SERIAL", "KIND", "NAME", "ENDS", "STATE", "FOR", "WHY"}, rows)
	rows = nil
	for _, c := range credentials {
		rows = append(rows, []string{string(c.Device), string(c.Kind), c.ID, day(c.Expires), day(c.LastUsed)})
	}
	if len(rows) > 0 {
		a.table("", []string{"DEVICE", "KIND", "CREDENTIAL", "ENDS", "USED"}, rows)
	}
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateOnly)
}

func (a *app) certRevoke() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke <serial>", Short: "Take a certificate back: a device does not come in by it any more", Args: args(cobra.ExactArgs(1)),
		Long: "Put a certificate on the revocation list (<data_dir>/ca/crl.pem, for programs that read one).\n" +
			"That of a device ends in the registry too: its session is closed. Browsers of telephones do not\n" +
			"read the list: of a server whose key was seen, make another and take its name away.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			_, ca, err := a.authority()
			if err != nil {
				return err
			}
			i, err := ca.Revoke(argv[0], reason)
			if err != nil {
				return err
			}
			ended, err := "", error(nil)
			if i.For == cert.ForDevice {
				ended, err = a.endByFingerprint(cmd.Context(), &i, reason)
			}
			if err != nil {
				return fmt.Errorf("%s is on the list, but the device still comes in: %w", i.Serial, err)
			}
			return a.show(map[string]any{"certificate": i, "credential": ended}, func() {
				a.say("%s of %s is revoked", i.Serial, i.Name)
				if ended != "" {
					a.say("credential %s has ended", ended)
				}
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for the list and the audit")
	return cmd
}

// endByFingerprint ends the credential of a device's certificate.
func (a *app) endByFingerprint(ctx context.Context, i *cert.Issued, reason string) (string, error) {
	c, err := a.client()
	if err != nil {
		return "", err
	}
	page, err := c.Credentials(ctx, grid.Identity(i.Name))
	if err != nil {
		return "", err
	}
	for _, v := range page.Items {
		if v.Fingerprint == i.Fingerprint && v.Ended.IsZero() {
			_, err := c.EndCredential(ctx, v.Device, v.ID, first(reason, "certificate "+i.Serial+" is revoked"))
			return v.ID, err
		}
	}
	return "", nil
}

func (a *app) certRenew() *cobra.Command {
	var every bool
	cmd := &cobra.Command{
		Use: "renew", Short: "Renew the server certificates that near their end, into the same files", Args: args(cobra.NoArgs),
		Long: "Issue again the server certificates that are in the last third of their time, into the same\n" +
			"files. The running gateway does it by itself every hour; this is for one that does not run.",
		RunE: func(*cobra.Command, []string) error {
			_, ca, err := a.authority()
			if err != nil {
				return err
			}
			renewed, err := ca.Renew(every)
			if err != nil {
				return err
			}
			return a.show(renewed, func() {
				for _, i := range renewed {
					a.say("%s is renewed until %s", i.Name, day(i.Ends))
				}
				if len(renewed) == 0 {
					a.say("none is near its end")
				}
			})
		},
	}
	cmd.Flags().BoolVar(&every, "all", false, "all of them")
	return cmd
}

// checkCertificates warns of what ends: 30 days before, and 7 days before it is wrong.
func (r *report) checkCertificates(ctx context.Context, cfg *gateway.Config) {
	now := time.Now()
	for _, e := range cfg.Certificates(now) {
		fix := "put a new one in its place, it is read again by itself"
		if e.What == "local authority" {
			fix = "make another in a new folder and have people install it"
		}
		switch {
		case e.Error != "":
			r.wrong("certificate %s (%s) cannot be read: %s", e.Path, e.What, e.Error)
		case e.Level == cert.Soon:
			r.Warnings = append(r.Warnings, fmt.Sprintf("certificate %s (%s) ends on %s: %s", e.Path, e.What, day(e.Ends), fix))
		case e.Level == cert.Next, e.Level == cert.Ended:
			r.wrong("certificate %s (%s) ends on %s: %s", e.Path, e.What, day(e.Ends), fix)
		}
	}
	ending, err := cfg.EndingCredentials(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return // the recount says what is wrong with the files
	}
	soon := 0
	for _, c := range ending {
		switch cert.LevelOf(c.Created, c.Expires, now) {
		case cert.Next:
			r.wrong("%s of device %s ends on %s: give it another (gridgate device key add, gridgate cert device)", c.Kind, c.Device, day(c.Expires))
		case cert.Soon:
			soon++
		}
	}
	if soon > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d keys or certificates of devices end within 30 days: gridgate cert list --within 720h", soon))
	}
	if host, _, err := net.SplitHostPort(cfg.HTTP.Listen); err == nil && cfg.HTTP.TLS.Listen == "" {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			r.Warnings = append(r.Warnings, fmt.Sprintf("http.listen is %s and there is no http.tls: tokens go over the network in the open: see docs/tls.md", cfg.HTTP.Listen))
		}
	}
}

func (a *app) keyCommand() *cobra.Command {
	return group("key", "The key file, under which secrets are sealed", a.keyRotate())
}

func (a *app) keyRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Seal everything under a new key, while the gateway runs", Args: args(cobra.NoArgs),
		Long: "Add a new key to the key file (secret.key) of the running gateway and seal under it whatever can\n" +
			"be read again: pre-shared keys, telephone numbers, the key of the local authority. A password\n" +
			"is sealed under it when its device next logs in. Keys under which nothing is sealed any more\n" +
			"are taken out of the file. Copy the file to where you keep it, afterwards.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			done, err := c.RotateKey(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(done, func() {
				a.say("key %s seals from now on: %d secrets are sealed anew", done.Key, done.Resealed)
				if done.Waiting > 0 {
					a.say("%d passwords wait for their devices to log in; the key before stays until then", done.Waiting)
				}
				a.say("%d keys are in the file, %d were taken out", done.Keys, done.Removed)
				a.say("copy the key file to where you keep it: the old copy does not open what is sealed from now on")
			})
		},
	}
}
