package gateway

import (
	"fmt"

	"gridgate/internal/api"
	"gridgate/internal/grid"
	"gridgate/internal/label"
	"gridgate/internal/pdf"
)

// LabelsConfig is how codes are read and labels printed.
type LabelsConfig struct {
	File string `yaml:"file"` // makers' own forms; "" is the built-in set
	Font string `yaml:"font"` // font file for Chinese in documents; "": what the system has, else the reader's own
}

// readLabels reads the makers' forms and finds the font.
func (g *Gateway) readLabels() error {
	name, file, err := fileOr(g.cfg.Labels.File, "labels.yaml")
	if err != nil {
		return err
	}
	if g.codes, err = label.Parse(name, file); err != nil {
		return err
	}
	if g.font, err = pdf.FindFont(g.cfg.Labels.Font); err != nil {
		return fmt.Errorf("labels.font: %w", err)
	}
	return nil
}

// guessLabel says which profiles may fit a device of which only the label is known.
func (g *Gateway) guessLabel(id grid.Identity, model string) []grid.ProfileGuess {
	var out []grid.ProfileGuess
	for _, p := range g.reloading.profiles.now().GuessLabel(id, model) {
		out = append(out, grid.ProfileGuess{Profile: p.Profile, Score: p.Score, Reason: p.Reason, Smoke: p.Smoke})
	}
	return out
}

// discovered tells the stream of a stranger that is heard for the first time.
func (g *Gateway) discovered(d grid.Discovered) {
	g.log.Debug("a stranger is heard", "device", d.Identity, "transport", d.Transport, "profile", d.Guess)
	g.api.Publish(api.Change{Strangers: []grid.Discovered{d}})
}
