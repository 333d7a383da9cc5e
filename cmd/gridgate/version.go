package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/gateway"
)

// systemConfig is what a gridgate that was installed reads, if it is told of no other file:
// systemProgram is where the packages and the image put it. A gridgate elsewhere, one just
// built or a test, never touches it.
const (
	systemConfig  = "/etc/gridgate/gridgate.yaml"
	systemProgram = "/usr/bin/gridgate"
)

// configFile is the configuration file that the commands go by; "" is the built-in one.
func (a *app) configFile() string {
	if named := first(a.config, a.env("GRIDGATE_CONFIG")); named != "" {
		return named
	}
	if self, err := os.Executable(); err != nil || self != systemProgram {
		return ""
	}
	if _, err := os.Stat(systemConfig); err != nil {
		return ""
	}
	return systemConfig
}

// version is everything that support asks for. It holds no secret and no address of a peer.
type version struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"` // "unknown": not built from a git clone
	At       string   `json:"commit_at,omitempty"`
	Modified bool     `json:"modified"` // built from files that were not committed
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	CPUs     int      `json:"cpus"`
	Kernel   string   `json:"kernel,omitempty"`
	System   string   `json:"system,omitempty"`
	Config   string   `json:"config"` // "built in", or the file
	Fault    string   `json:"config_fault,omitempty"`
	Modules  []module `json:"modules"`

	*gateway.About // absent while the configuration has a fault
}

type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

func (a *app) versionCommand() *cobra.Command {
	var modules bool
	cmd := &cobra.Command{
		Use: "version", Short: "Show which gridgate this is, of what it is made, and what it works on", Args: args(cobra.NoArgs),
		Long: "Show version, commit, platform, the version of the data, where everything lies and what is\n" +
			"switched on. Send the output of gridgate version --json with every question: no secret is in it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := a.version(cmd.Context())
			return a.show(v, func() { a.printVersion(v, modules) })
		},
	}
	cmd.Flags().BoolVar(&modules, "modules", false, "name the modules too")
	return cmd
}

func (a *app) version(ctx context.Context) version {
	v := version{
		Version: gateway.Version, Commit: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs: runtime.NumCPU(), Config: first(a.configFile(), "built in"), Modules: []module{},
	}
	v.System = osName()
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		v.Kernel = strings.TrimSpace(string(b))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.built(info)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		v.Fault = err.Error()
		return v
	}
	about := cfg.About(ctx)
	v.About = &about
	return v
}

// built adds what the compiler has written into the program.
func (v *version) built(info *debug.BuildInfo) {
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.At = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		case "GOARM", "GOAMD64", "GOARM64":
			v.Platform += " " + s.Key + "=" + s.Value
		}
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		v.Modules = append(v.Modules, module{m.Path, m.Version})
	}
}

// osName is the operating system in its own words; "" where it has none.
func osName() string {
	b, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"`)
		}
	}
	return ""
}

func (a *app) printVersion(v version, modules bool) {
	a.say("gridgate %s", v.Version)
	row := func(what, value string) {
		if value != "" {
			a.say("  %-10s %s", what, value)
		}
	}
	commit := v.Commit
	if v.At != "" {
		commit += " of " + v.At
	}
	if v.Modified {
		commit += ", and changes that were not committed"
	}
	row("commit", commit)
	row("go", v.Go)
	row("platform", v.Platform)
	row("system", strings.TrimPrefix(strings.Join([]string{v.System, v.Kernel}, ", "), ", "))
	row("config", v.Config)
	row("FAULT", v.Fault)
	if v.About != nil {
		a.printAbout(*v.About, row)
	}
	if modules {
		rows := [][]string{}
		for _, m := range v.Modules {
			rows = append(rows, []string{m.Path, m.Version})
		}
		a.table("no modules", []string{"MODULE", "VERSION"}, rows)
	}
}

func (a *app) printAbout(v gateway.About, row func(what, value string)) {
	row("data", v.Paths["data"])
	switch {
	case v.Schema.Fault != "":
		row("schema", v.Schema.Fault)
	case v.Schema.Has == 0:
		row("schema", fmt.Sprintf("%d, no data yet", v.Schema.Makes))
	case v.Schema.Has == v.Schema.Makes && v.Schema.Pending == 0:
		row("schema", fmt.Sprint(v.Schema.Has))
	default:
		row("schema", fmt.Sprintf("%d in the folder, this gridgate makes %d: %d steps to go", v.Schema.Has, v.Schema.Makes, v.Schema.Pending))
	}
	row("profiles", fmt.Sprint(v.Profiles))
	row("features", strings.Join(v.Features, ", "))
}
