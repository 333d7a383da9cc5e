package intake

import "gridgate/internal/grid"

// Downlink says how a downlink travels to its device: what is to be published on which topic.
// ref is what the answers to it will name, "" where no answer names it.
type Downlink func(d *grid.Downlink, way grid.Frame) (topic string, payload []byte, ref string, err error)
