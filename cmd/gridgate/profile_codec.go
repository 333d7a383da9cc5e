package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// runCodec decodes a frame by the code of a device maker, without a profile, and prints
// what the code gives in the form of TS013.
func (a *app) runCodec(file, variables string, f grid.Frame) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out := profile.CodecOutput{Data: json.RawMessage("null"), Warnings: []string{}}
	c, err := profile.OpenCodec(filepath.Base(file), source, json.RawMessage(variables))
	if err != nil {
		out.Errors = []string{err.Error()}
	} else {
		defer c.Close()
		fmt.Fprintf(a.errOut, "calls %s\n", c.Function())
		out = c.Decode(f)
	}
	a.json = true // there is no other form
	if err := a.show(out, nil); err != nil {
		return err
	}
	if len(out.Errors) > 0 {
		return errSaid
	}
	return nil
}
