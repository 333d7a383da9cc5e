// Command gridgate is the gateway and its command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/gateway"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitWaited      = 4
)

func main() {
	profile.RunWorker()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program; its result is the exit code.
func run(ctx context.Context, args, environ []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{environ: environ, in: in, out: out, errOut: errOut}
	root := a.command()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(errOut, "gridgate:", err)
	}
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "Run \"%s --help\".\n", usage.command)
		return exitUsage
	case errors.Is(err, api.ErrUnreachable):
		return exitUnreachable
	case errors.Is(err, errWaited):
		return exitWaited
	}
	return exitFailed
}

// errSaid is a failure whose words are on the screen already.
var errSaid = errors.New("failed")

// usageError says that the command was called in a wrong way.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }

// app is what all commands share.
type app struct {
	environ []string
	in      io.Reader
	out     io.Writer
	errOut  io.Writer

	config string // --config
	url    string // --api
	token  string // --token
	json   bool   // --json
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "gridgate",
		Short: "Sensor-mesh ingestion gateway of a city district",
		Long: "gridgate takes frames of door, parking, manhole and smoke sensors, stores them in InfluxDB,\n" +
			"and opens tickets with fire and urban-management units that close only when the loop is.\n\n" +
			"Commands that ask a gateway find it by --api and --token, else GRIDGATE_API and\n" +
			"GRIDGATE_TOKEN, else by the configuration: on its own machine no flag is needed.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 called in a wrong way, 3 no gateway answers,\n" +
			"4 waited in vain.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, fmt.Errorf("no command %q", args[0]))
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Version:           gateway.Version,
	}
	root.SetFlagErrorFunc(usage)
	f := root.PersistentFlags()
	f.StringVarP(&a.config, "config", "c", "", "configuration `file` (default: GRIDGATE_CONFIG; else, of a gridgate that was installed, /etc/gridgate/gridgate.yaml; else built in)")
	f.StringVar(&a.url, "api", "", "`URL` of the gateway's API")
	f.StringVar(&a.token, "token", "", "bearer `token` for the API")
	f.BoolVar(&a.json, "json", false, "print JSON")
	root.AddCommand(
		a.serveCommand(), a.demoCommand(), a.checkCommand(), a.profileCommand(), a.deviceCommand(), a.codeCommand(), a.pointCommand(), a.buildingCommand(),
		a.framesCommand(), a.replayCommand(), a.explainCommand(), a.ticketCommand(), a.eventCommand(), a.hazardCommand(), a.contactCommand(), a.rosterCommand(), a.alarmCommand(), a.connectorCommand(), a.figuresCommand(), a.downlinkCommand(), a.windowCommand(), a.visitCommand(), a.postureCommand(), a.dutyCommand(), a.gridCommand(), a.contractorCommand(), a.roundCommand(), a.taskCommand(), a.certCommand(), a.keyCommand(), a.auditCommand(), a.eraseCommand(), a.backupCommand(), a.restoreCommand(), a.userCommand(), a.tokenCommand(), a.versionCommand(), a.readyCommand(),
	)
	root.AddCommand(a.upgradeCommand(), a.reloadCommand(), a.watchCommand(), a.standbyCommand(), a.promoteCommand())
	return root
}

func usage(cmd *cobra.Command, err error) error { return &usageError{cmd.CommandPath(), err} }

// args makes a wrong number of arguments a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(cmd, err)
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(cmd, fmt.Errorf("no command %q", args[0]))
		}
		return cmd.Help()
	}}
	g.AddCommand(commands...)
	return g
}

// loadConfig reads the configuration that --config and the environment give.
func (a *app) loadConfig() (gateway.Config, error) {
	return gateway.LoadConfig(a.configFile(), a.environ)
}

func (a *app) env(name string) string {
	for _, kv := range a.environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// client finds the gateway: by flags, by environment, by configuration.
func (a *app) client() (*api.Client, error) {
	c := &api.Client{URL: first(a.url, a.env("GRIDGATE_API")), Token: first(a.token, a.env("GRIDGATE_TOKEN"))}
	if c.URL != "" && c.Token != "" {
		return c, nil
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	if c.URL == "" {
		if cfg.HTTP.Listen == "" {
			return nil, grid.Errorf(grid.Invalid, "the configuration has no API (http.listen is empty): want --api URL")
		}
		c.URL = "http://" + cfg.HTTP.Listen
	}
	if c.Token == "" {
		b, err := os.ReadFile(cfg.TokenPath())
		if err != nil {
			return nil, fmt.Errorf("no token: want --token, GRIDGATE_TOKEN, or the gateway's own token file: %w", err)
		}
		c.Token = strings.TrimSpace(string(b))
	}
	return c, nil
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}
