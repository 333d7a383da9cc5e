// Command pack writes what goes with a program into its packages: the licences of all that
// is in it, and the list of it (SBOM, CycloneDX 1.6). It reads the program itself, so that
// the list is of what was linked, not of what go.mod allows.
//
//	pack licences --program dist/gridgate --web internal/console/dist/m/licences.txt --out LICENCES.txt
//	pack sbom     --program dist/gridgate --web internal/console/dist/m/licences.txt --out gridgate.cdx.json
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command: want licences or sbom")
	}
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	program := f.String("program", "", "program `file`")
	web := f.String("web", "", "`file` that the build of the web pages has written: their packages and licences")
	version := f.String("version", "", "version of the package")
	out := f.String("out", "", "`file` to write")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	write := map[string]func(contents, string) ([]byte, error){"licences": licenceFile, "sbom": sbom}[args[0]]
	if write == nil {
		return fmt.Errorf("no command %q: want licences or sbom", args[0])
	}
	c, err := read(*program, *web)
	if err != nil {
		return err
	}
	b, err := write(c, *version)
	if err != nil {
		return err
	}
	return os.WriteFile(*out, b, 0o644)
}
