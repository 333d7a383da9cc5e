package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func (a *app) profileCommand() *cobra.Command {
	return group("profile", "List, try and check firmware profiles", a.profileList(), a.profileDecode(), a.profileLint(), a.profileTest(), a.profileDiff(), a.profileRollout(), a.profileNew(), a.profileSchema())
}

// profiles loads the built-in profiles and the configured folders over them.
func (a *app) profiles() (*profile.Set, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	dirs := []fs.FS{firmwareprofiles.FS}
	for _, d := range cfg.Profiles {
		dirs = append(dirs, os.DirFS(d))
	}
	return profile.Load(dirs...)
}

func (a *app) profileList() *cobra.Command {
	var vendor, model, firmware string
	cmd := &cobra.Command{
		Use: "list", Short: "List the profiles", Args: args(cobra.NoArgs),
		Example: "  gridgate profile list --vendor bosch --model tps110 --firmware 0.29.2",
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.profiles()
			if err != nil {
				return err
			}
			list := set.List()
			if firmware != "" && model == "" {
				return usage(cmd, errors.New("want --model beside --firmware"))
			}
			list = slices.DeleteFunc(list, func(p *profile.Profile) bool { return !p.IsOf(vendor, model, firmware) })
			return a.show(list, func() {
				var rows [][]string
				for _, p := range list {
					rows = append(rows, []string{p.ID, p.Version, strings.Trim(fmt.Sprint(p.Kinds), "[]"), p.Codec, p.Interval.String(), p.Range.String()})
				}
				a.table("no profiles", []string{"PROFILE", "VERSION", "KINDS", "CODEC", "INTERVAL", "FIRMWARE"}, rows)
				a.sayRolledOut(cmd.Context())
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&vendor, "vendor", "", "only of this `vendor`")
	f.StringVar(&model, "model", "", "only for this `model`, by any name its envelopes give it")
	f.StringVar(&firmware, "firmware", "", "only for this `version` of the firmware")
	return cmd
}

func payloadIsFlagged(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%.40q stands alone: want --hex or --text before the payload", args[0])
	}
	return nil
}

// decodeFlags are what gridgate profile decode is asked.
type decodeFlags struct {
	id, codec, variables      string
	hex, text, path, received string
	port, format              int
}

func (a *app) profileDecode() *cobra.Command {
	var d decodeFlags
	cmd := &cobra.Command{
		Use: "decode", Short: "Decode a payload and print its readings as JSON", Args: args(payloadIsFlagged),
		Example: "  gridgate profile decode --profile milesight/ws301 --port 85 --hex 01755c030001040001\n" +
			"  gridgate profile decode --codec maker.js --port 85 --hex 01755c030001040001",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := d.frame()
			if err != nil {
				return usage(cmd, err)
			}
			if d.codec != "" {
				return a.runCodec(d.codec, d.variables, f)
			}
			return a.decode(d.id, f)
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.id, "profile", "", "firmware profile, `vendor/model`")
	f.StringVar(&d.codec, "codec", "", "instead of a profile, the JavaScript codec of a device maker, a `file`: prints its own data, warnings and errors")
	f.StringVar(&d.variables, "variables", "", "a `JSON` object that the codec finds as input.variables")
	f.IntVar(&d.port, "port", -1, "port the payload came on; -1: none")
	f.StringVar(&d.hex, "hex", "", "payload in hexadecimal")
	f.StringVar(&d.text, "text", "", "payload as text, for profiles that read JSON")
	f.IntVar(&d.format, "format", -1, "CoAP content format of the payload, for example 112 for SenML in CBOR; -1: none")
	f.StringVar(&d.path, "path", "", "LwM2M path that the payload is the value of, for example /3/0/9")
	f.StringVar(&d.received, "received", "", "when the payload came (RFC 3339), for times that are relative to it; default: now")
	return cmd
}

// frame is the frame that the flags describe.
func (d *decodeFlags) frame() (f grid.Frame, err error) {
	switch {
	case (d.id == "") == (d.codec == "") || (d.hex == "") == (d.text == ""):
		return f, errors.New("want --profile or --codec, and --hex or --text")
	case d.codec == "" && d.variables != "":
		return f, errors.New("--variables are for --codec: want them in the profile")
	}
	payload := []byte(d.text)
	if d.hex != "" {
		if payload, err = profile.ParseHex(d.hex); err != nil {
			return f, err
		}
	}
	f = grid.Frame{Uplink: grid.Uplink{Port: d.port, Path: d.path, Payload: payload}}
	if f.Received, err = receivedAt(d.received); err != nil {
		return f, err
	}
	if d.format < -1 || d.format > math.MaxUint16 {
		return f, fmt.Errorf("--format is %d: want 0 to %d, or -1 for none", d.format, math.MaxUint16)
	}
	f.Format, f.HasFormat = uint16(d.format), d.format >= 0
	return f, nil
}

// decode prints the readings that a profile makes of a frame.
func (a *app) decode(id string, f grid.Frame) error {
	set, err := a.profiles()
	if err != nil {
		return err
	}
	defer set.Close()
	p, err := set.Get(id)
	if err != nil {
		return err
	}
	d, err := p.Decode(f)
	if err != nil {
		return err
	}
	a.json = true // there is no other form: it is what tests of profiles compare
	return a.show(profile.NewOutput(d), nil)
}

// receivedAt reads the time a payload came.
func receivedAt(s string) (time.Time, error) {
	if s == "" {
		return time.Now().UTC(), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, fmt.Errorf("--received is %q: want an RFC 3339 time, for example 2026-01-01T08:00:00Z", s)
	}
	return at.UTC(), nil
}

func (a *app) profileLint() *cobra.Command {
	return &cobra.Command{
		Use: "lint <folder>", Short: "Check a profile folder (<vendor>/<model>, or one that holds such) and run its cases", Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, argv []string) error {
			root, dirs, err := profileDirs(argv[0])
			if err != nil {
				return err
			}
			set, err := a.profiles()
			if err != nil {
				return err
			}
			found := map[string][]string{}
			bad := 0
			for _, dir := range dirs {
				found[dir] = []string{}
				for _, err := range profile.Lint(os.DirFS(root), dir, set.Sources()...) {
					found[dir] = append(found[dir], err.Error())
					bad++
				}
			}
			for dir, err := range overlaps(set, root, dirs) {
				found[dir] = append(found[dir], err.Error())
				bad++
			}
			err = a.show(found, func() {
				for _, dir := range dirs {
					for _, problem := range found[dir] {
						a.say("%s: %s", dir, problem)
					}
				}
				a.say("%d profiles, %d problems", len(dirs), bad)
			})
			if err == nil && bad > 0 {
				return errSaid
			}
			return err
		},
	}
}

// overlaps gives, by folder, the profiles under root that are for the same vendor, model
// and firmware as others of set or of root.
func overlaps(set *profile.Set, root string, dirs []string) map[string]error {
	found := map[string]error{}
	if both, err := profile.Load(append(set.Sources(), os.DirFS(root))...); err == nil {
		for id, err := range both.Overlaps() {
			if slices.Contains(dirs, id) {
				found[id] = err
			}
		}
	}
	return found
}

// profileDirs finds the profiles in dir: itself, or <vendor>/<model> below it.
func profileDirs(dir string) (root string, dirs []string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "profile.yaml")); err == nil {
		vendor := filepath.Dir(dir)
		return filepath.Dir(vendor), []string{filepath.Base(vendor) + "/" + filepath.Base(dir)}, nil
	}
	if models, _ := fs.Glob(os.DirFS(dir), "*/profile.yaml"); len(models) > 0 { // the folder of a vendor
		for _, m := range models {
			dirs = append(dirs, filepath.Base(dir)+"/"+strings.TrimSuffix(m, "/profile.yaml"))
		}
		return filepath.Dir(dir), dirs, nil
	}
	files, err := fs.Glob(os.DirFS(dir), "*/*/profile.yaml")
	if err != nil || len(files) == 0 {
		return "", nil, fmt.Errorf("%s: no profile.yaml here and none in <vendor>/<model>: want a folder with profiles", dir)
	}
	for _, f := range files {
		dirs = append(dirs, strings.TrimSuffix(f, "/profile.yaml"))
	}
	return dir, dirs, nil
}

func (a *app) profileTest() *cobra.Command {
	var all bool
	var vectors string
	cmd := &cobra.Command{
		Use: "test [<vendor/model>…]", Short: "Run the cases beside the profiles (default: all)",
		RunE: func(cmd *cobra.Command, ids []string) error {
			set, err := a.profiles()
			if err != nil {
				return err
			}
			if vectors != "" {
				if len(ids) > 0 {
					return usage(cmd, errors.New("--vectors compares all models: want no profile beside it"))
				}
				return a.showVectors(set, vectors)
			}
			results, err := set.RunCases(ids...)
			if err != nil {
				return err
			}
			bad := 0
			for _, r := range results {
				if !r.OK {
					bad++
				}
			}
			err = a.show(results, func() {
				for _, r := range results {
					switch {
					case !r.OK:
						a.say("FAIL  %s  %s: %s", r.Profile, r.Case, r.Reason)
					case all:
						a.say("ok    %s  %s", r.Profile, r.Case)
					}
				}
				a.say("%d cases, %d failed", len(results), bad)
			})
			if err == nil && bad > 0 {
				return errSaid
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&all, "verbose", "v", false, "print the good ones too")
	cmd.Flags().StringVar(&vectors, "vectors", "", "compare with the published messages in `folder` instead (devices.jsonl)")
	return cmd
}
