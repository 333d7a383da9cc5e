package envelope

import "gridgate/internal/grid"

// What comes over serial lines, and over TCP and UDP in the same form, has no envelope
// beside the frame itself: it says who sent it in its own way, which its transport reads.
const (
	GB26875 = "gb26875" // a whole frame of GB/T 26875.3
	Modbus  = "modbus"  // request and response of Modbus RTU, each with its checksum
	Lines   = "lines"   // a line of text without its end, a text without its marks, or a whole block
)

func openBare(f *grid.Frame) error {
	f.Payload = f.Raw
	return nil
}
