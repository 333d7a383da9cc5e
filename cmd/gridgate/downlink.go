package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) downlinkCommand() *cobra.Command {
	return group("downlink", "Tell devices something: send, list, show and cancel downlinks",
		a.downlinkSend(), a.downlinkList(), a.downlinkShow(), a.downlinkCancel())
}

// orderFlags are the ways to say what a device is told; one of them.
type orderFlags struct {
	hex      string
	port     int
	read     string
	write    string
	opaque   bool
	execute  string
	coil     string
	register string
	gb       string
}

func (o *orderFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.hex, "hex", "", "these `bytes`, in hexadecimal, for the device's own protocol")
	f.IntVar(&o.port, "port", 0, "LoRaWAN port of --hex, 1 to 223")
	f.StringVar(&o.read, "lwm2m-read", "", "read this LwM2M `path`, for example /3/0")
	f.StringVar(&o.write, "lwm2m-write", "", "write a LwM2M resource: `path=value`")
	f.BoolVar(&o.opaque, "opaque", false, "the value of --lwm2m-write is bytes, in hexadecimal")
	f.StringVar(&o.execute, "lwm2m-execute", "", "execute a LwM2M resource: `path`, or path=arguments")
	f.StringVar(&o.coil, "modbus-coil", "", "write Modbus coils: `address=0|1[,…]`, addresses counted from 0")
	f.StringVar(&o.register, "modbus-register", "", "write Modbus holding registers: `address=value[,…]`")
	f.StringVar(&o.gb, "gb", "", "GB/T 26875.3 `order`: duty-check=MINUTES, read=state|version|configuration|time, set-clock, initialize")
}

// order is what the flags say.
func (o *orderFlags) order() (out grid.Order, err error) {
	var said []string
	for _, f := range []struct {
		name, value string
		read        func(string) error
	}{
		{"--hex", o.hex, func(v string) error { out.Payload = &grid.PayloadOrder{Hex: v, Port: o.port}; return nil }},
		{"--lwm2m-read", o.read, func(v string) error { out.LwM2M = &grid.LwM2MOrder{Do: "read", Path: v}; return nil }},
		{"--lwm2m-write", o.write, func(v string) error { return o.writeOrder(&out, v) }},
		{"--lwm2m-execute", o.execute, func(v string) error {
			path, arguments, _ := strings.Cut(v, "=")
			out.LwM2M = &grid.LwM2MOrder{Do: "execute", Path: path, Value: arguments}
			return nil
		}},
		{"--modbus-coil", o.coil, func(v string) error { return modbusOrder(&out, "coil", v) }},
		{"--modbus-register", o.register, func(v string) error { return modbusOrder(&out, "register", v) }},
		{"--gb", o.gb, func(v string) error { return gbOrder(&out, v) }},
	} {
		if f.value == "" {
			continue
		}
		said = append(said, f.name)
		if err := f.read(f.value); err != nil {
			return out, err
		}
	}
	switch {
	case len(said) != 1:
		return out, fmt.Errorf("%d orders: want one of --hex, --lwm2m-read, --lwm2m-write, --lwm2m-execute, --modbus-coil, --modbus-register and --gb", len(said))
	case o.port != 0 && o.hex == "":
		return out, errors.New("--port without --hex: want both, or neither")
	case o.opaque && o.write == "":
		return out, errors.New("--opaque without --lwm2m-write: want both, or neither")
	}
	return out, out.Check()
}

func (o *orderFlags) writeOrder(out *grid.Order, v string) error {
	path, value, given := strings.Cut(v, "=")
	if !given {
		return fmt.Errorf("--lwm2m-write is %q: want path=value, such as /3/0/14=+08:00", v)
	}
	out.LwM2M = &grid.LwM2MOrder{Do: "write", Path: path, Value: value}
	if o.opaque {
		out.LwM2M.Type = "opaque"
	}
	return nil
}

func modbusOrder(out *grid.Order, what, v string) error {
	wrong := fmt.Errorf("--modbus-%s is %q: want address=value[,value…], such as 100=1,0", what, v)
	at, list, _ := strings.Cut(v, "=")
	address, err := strconv.ParseUint(at, 0, 16)
	if err != nil {
		return wrong
	}
	out.Modbus = &grid.ModbusOrder{Write: what, Address: uint16(address)}
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.ParseUint(s, 0, 16)
		if err != nil {
			return wrong
		}
		out.Modbus.Values = append(out.Modbus.Values, uint16(n))
	}
	return nil
}

func gbOrder(out *grid.Order, v string) error {
	do, what, _ := strings.Cut(v, "=")
	out.GB26875 = &grid.GB26875Order{Do: strings.ReplaceAll(do, "-", "_")}
	switch do {
	case "duty-check":
		minutes, err := strconv.Atoi(what)
		if err != nil {
			return fmt.Errorf("--gb is %q: want duty-check=MINUTES, such as duty-check=5", v)
		}
		out.GB26875.Minutes = minutes
	case "read":
		out.GB26875.Object = what
	default:
		if what != "" {
			return fmt.Errorf("--gb is %q: want %s alone", v, do)
		}
	}
	return nil
}

func (a *app) downlinkSend() *cobra.Command {
	var n api.NewDownlink
	var o orderFlags
	var by api.As
	var key string
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "send <identity>", Short: "Tell a device something", Args: args(cobra.ExactArgs(1)),
		Long: "Tell a device something. The order is kept until it is sent, acknowledged or has failed; a device\n" +
			"that sleeps gets it when it is heard. docs/downlinks.md says how an order reaches each kind of\n" +
			"device, and what sent and acknowledged mean there.\n\n" +
			"With --wait, exit codes: 0 acknowledged, or sent where no acknowledgement was asked for,\n" +
			"1 failed, 4 not known yet when the time was over (the order goes on: gridgate downlink show).",
		Example: "  gridgate downlink send eui:24e124136d490175 --hex ff10ff --port 85 --confirm --wait 60s\n" +
			"  gridgate downlink send imei:867730050012345 --lwm2m-write /3/0/14=+08:00\n" +
			"  gridgate downlink send modbus:riser-3/1 --modbus-register 100=1,2 --once --wait 10s\n" +
			"  gridgate downlink send gb26875:889 --gb duty-check=5 --wait 30s",
		RunE: func(cmd *cobra.Command, argv []string) (err error) {
			if n.Order, err = o.order(); err == nil && wait < 0 {
				err = fmt.Errorf("--wait is %s: want a time such as 60s", wait)
			}
			if err != nil {
				return usage(cmd, err)
			}
			if by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.SendDownlink(cmd.Context(), grid.Identity(argv[0]), n, key)
			if err != nil {
				return err
			}
			return a.follow(cmd.Context(), c, d, wait)
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.BoolVar(&n.Confirm, "confirm", false, "it has failed unless the device acknowledges it in time")
	f.BoolVar(&n.Once, "once", false, "never send it again when it is not known whether it went out")
	f.StringVar(&n.ExpiresIn, "expires", "", "how long it may wait: `2h` (default 24h, at most 720h)")
	f.StringVar(&n.Reason, "reason", "", "why, in words, for the record")
	f.DurationVar(&wait, "wait", 0, "show what becomes of it for so `long`, for example 60s (default: not at all)")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again sends nothing")
	f.StringVar(&by.Name, "as", "", "`name` of who does it, for the record")
	return cmd
}

// watchEvery is how often the state of a downlink is asked for while somebody waits.
const watchEvery = 250 * time.Millisecond

// follow shows what becomes of a downlink, until it has ended or the wait is over. A gateway
// that is away meanwhile is waited for.
func (a *app) follow(ctx context.Context, c *api.Client, d grid.Downlink, wait time.Duration) error {
	if wait > 0 {
		a.stage(d)
	}
	end, said := time.Now().Add(wait), stage(d)
	for !d.Ended() && time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(watchEvery, time.Until(end))):
		}
		now, err := c.Downlink(ctx, d.ID)
		switch {
		case errors.Is(err, api.ErrUnreachable) || grid.CodeOf(err) == grid.Unavailable:
			if words := "the gateway does not answer"; said != words {
				fmt.Fprintln(a.errOut, words)
				said = words
			}
			continue
		case err != nil:
			return err
		}
		if d = now; stage(d) != said {
			a.stage(d)
			said = stage(d)
		}
	}
	return a.verdict(d, wait)
}

// verdict prints the downlink and makes the exit code of it.
func (a *app) verdict(d grid.Downlink, wait time.Duration) error {
	if err := a.show(d, func() { a.say("%s is %s", d.ID, outcome(d)) }); err != nil {
		return err
	}
	switch {
	case d.State == grid.DownlinkFailed:
		if a.json {
			return errSaid
		}
		return fmt.Errorf("downlink %s failed: %s", d.ID, d.Error)
	case wait == 0 || d.Ended() || d.State == grid.DownlinkSent && !d.Confirm:
		return nil
	}
	return fmt.Errorf("downlink %s: %w %s: it is %s", d.ID, errWaited, wait, outcome(d))
}

// errWaited is a wait that ended before what was waited for.
var errWaited = errors.New("nothing more was heard within")

// stage tells two stages apart.
func stage(d grid.Downlink) string {
	return fmt.Sprint(d.State, d.Attempts, d.Trying, d.Error, d.Answer)
}

// stage tells a person who waits how far it is.
func (a *app) stage(d grid.Downlink) {
	fmt.Fprintf(a.errOut, "%s  %s\n", time.Now().Format("15:04:05"), outcome(d))
}

// outcome is how far a downlink has come, in words.
func outcome(d grid.Downlink) string {
	words := string(d.State)
	switch {
	case d.Trying:
		words = fmt.Sprintf("being sent, try %d", d.Attempts)
	case d.State == grid.DownlinkSent && !d.Ended():
		words += ", not acknowledged yet"
	}
	if d.Way != "" {
		words += ", by " + d.Way
	}
	for _, s := range []string{d.Answer, d.Error} {
		if s != "" {
			words += ": " + s
		}
	}
	if d.State == grid.DownlinkQueued && !d.Trying && d.Next.After(time.Now()) {
		words += "; again at " + d.Next.Local().Format("15:04:05") + ", or when it is heard"
	}
	return words
}

// told is an order in words.
func told(o grid.Order) string {
	switch {
	case o.Payload != nil && o.Payload.Port != 0:
		return fmt.Sprintf("%s port %d", o.Payload.Hex, o.Payload.Port)
	case o.Payload != nil:
		return o.Payload.Hex
	case o.LwM2M != nil && o.LwM2M.Value != "":
		return fmt.Sprintf("%s %s=%s", o.LwM2M.Do, o.LwM2M.Path, o.LwM2M.Value)
	case o.LwM2M != nil:
		return o.LwM2M.Do + " " + o.LwM2M.Path
	case o.Modbus != nil:
		return fmt.Sprintf("%s %d=%s", o.Modbus.Write, o.Modbus.Address, strings.ReplaceAll(strings.Trim(fmt.Sprint(o.Modbus.Values), "[]"), " ", ","))
	case o.GB26875 != nil && o.GB26875.Do == "duty_check":
		return fmt.Sprintf("duty-check=%d", o.GB26875.Minutes)
	case o.GB26875 != nil && o.GB26875.Do == "read":
		return "read=" + o.GB26875.Object
	case o.GB26875 != nil:
		return strings.ReplaceAll(o.GB26875.Do, "_", "-")
	}
	return o.String()
}

func (a *app) downlinkList() *cobra.Command {
	var q api.Query
	var since string
	cmd := &cobra.Command{
		Use: "list", Short: "List downlinks, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Since, err = ago(since); err != nil {
				return usage(cmd, err)
			}
			return listRows(a, cmd, "downlinks", q, "no downlinks", []string{"DOWNLINK", "DEVICE", "ORDER", "STATE", "CREATED", "TRIES", "WAY", "SAID"}, func(d *grid.Downlink) []string {
				return []string{d.ID, string(d.Device), told(d.Order), string(d.State), clock(d.Created), fmt.Sprint(d.Attempts), dash(d.Way), first(d.Error, d.Answer)}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Device, "device", "", "of this `identity`")
	f.StringVar(&q.State, "state", "", "only this `state`: queued, sent, acknowledged, failed; \"open\" and \"ended\" stand for all such")
	f.StringVar(&q.Text, "text", "", "with this in the device, reason, error or who sent it")
	f.StringVar(&since, "since", "", "made since: `2h`, or a time")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}

func (a *app) downlinkShow() *cobra.Command {
	return &cobra.Command{
		Use: "show <downlink>", Short: "Show how far a downlink has come", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.Downlink(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(d, func() { a.printDownlink(d) })
		},
	}
}

func (a *app) printDownlink(d grid.Downlink) {
	a.say("%s  %s  %s (%s)", d.ID, d.Device, told(d.Order), d.Mode)
	a.say("  %s", outcome(d))
	a.say("  made      %s by %s %s, expires %s", clock(d.Created), d.By.Role, d.By.Name, clock(d.Expires))
	a.say("  sent      %s, %d tries", clock(d.SentAt), d.Attempts)
	if d.Ended() {
		a.say("  ended     %s", clock(d.EndedAt))
	}
	for _, s := range []struct{ what, words string }{{"ref", d.Ref}, {"reason", d.Reason}} {
		if s.words != "" {
			a.say("  %-9s %s", s.what, s.words)
		}
	}
}

func (a *app) downlinkCancel() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "cancel <downlink>", Short: "Take a downlink back that was not sent yet", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.CancelDownlink(cmd.Context(), argv[0], reason)
			if err != nil {
				return err
			}
			return a.show(d, func() { a.say("%s is %s", d.ID, outcome(d)) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in words")
	return cmd
}
