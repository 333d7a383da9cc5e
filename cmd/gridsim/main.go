// Command gridsim plays the outside world to a gridgate gateway: fleets of real device
// models, units that answer, and load.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"gridgate/simulator"
)

// Exit codes: what a script can tell apart.
const (
	exitFailed = 1 // it could not be done
	exitUsage  = 2 // the command line is wrong
	exitLoss   = 3 // it was done, and something sent was not acknowledged or did not arrive
	exitNotMet = 4 // a scenario was played, and an expectation was not met
)

// lossError ends the program with exitLoss.
type lossError struct{ error }

// notMetError ends the program with exitNotMet.
type notMetError struct{ error }

// usageError ends the program with exitUsage.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := &cobra.Command{
		Use:   "gridsim",
		Short: "play devices, units and load to a gridgate gateway",
		Long: `gridsim plays the outside world to a gridgate gateway over real sockets.

  gridsim run      a scenario: a day with its accidents, faults and people, and a verdict
  gridsim serve    a page to drive a demo by hand: pick a point, set it on fire
  gridsim play     a fleet and units together: what "make demo" shows
  gridsim fleet    virtual devices of real models, over MQTT
  gridsim units    units that take signed webhooks and answer by the gateway's API
  gridsim bench    load: frames as fast as they are acknowledged, smoke latency

Everything it plays is registered as simulated. --registry FILE writes what the gateway
must know of it (points, devices, units); --dry-run writes that and stops.

Exit codes: 0 done, 1 failed, 2 wrong command line, 3 done but something was lost,
4 a scenario was played and an expectation was not met.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(&lineWriter{w: out})
	root.SetErr(errOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().Bool("json", false, "print JSON lines instead of text")
	root.AddCommand(runCommand(), serveCommand(), playCommand(), fleetCommand(), unitsCommand(), benchCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(errOut, "gridsim:", err)
	var loss lossError
	var usage usageError
	var notMet notMetError
	switch {
	case errors.As(err, &notMet):
		return exitNotMet
	case errors.As(err, &loss):
		return exitLoss
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}

func wantsJSON(cmd *cobra.Command) bool {
	v, _ := cmd.Flags().GetBool("json") // a persistent flag of the root: there
	return v
}

func notes(cmd *cobra.Command) simulator.Notes {
	return simulator.Print(cmd.OutOrStdout(), wantsJSON(cmd))
}

// result prints v as JSON, or as the text.
func result(cmd *cobra.Command, v any, text string) error {
	if wantsJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// lineWriter lets several printers share an output: one Write, one line.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
