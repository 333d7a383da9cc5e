package main

import (
	"encoding/json"
	"fmt"

	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// showVectors compares what the profiles make of published messages with what their
// makers say they are: payloads alone, then complete messages of network servers.
func (a *app) showVectors(set *profile.Set, dir string) error {
	payloads, err := set.Vectors(dir)
	if err != nil {
		return err
	}
	messages, err := set.EnvelopeVectors(dir, openPublished)
	if err != nil && grid.CodeOf(err) != grid.NotFound { // a folder may hold payloads alone
		return err
	}
	var printed error
	results := append(payloads[:len(payloads):len(payloads)], messages...)
	err = a.show(results, func() {
		if printed = profile.WriteVectorTable(a.out, payloads); printed == nil && len(messages) > 0 {
			a.say("")
			printed = profile.WriteEnvelopeTable(a.out, messages)
		}
	})
	if err != nil {
		return err
	}
	if printed != nil {
		return printed
	}
	for _, r := range results {
		if r.State == profile.VectorFailed {
			return errSaid
		}
	}
	return nil
}

// openPublished brings a published message in as the platform would.
func openPublished(platform string, message []byte) (grid.Frame, error) {
	topic := ""
	switch platform {
	case "ChirpStack":
		var m struct{ DeviceInfo struct{ DevEUI string } }
		if err := json.Unmarshal(message, &m); err != nil {
			return grid.Frame{}, err
		}
		topic = "application/1/device/" + m.DeviceInfo.DevEUI + "/event/up"
	case "The Things Stack", "The Things Stack (Industries)":
		topic = "v3/application@tenant/devices/device/up"
	case "LORIOT":
		topic = "gridgate/loriot/up"
	case "Milesight gateway":
		topic = "gridgate/milesight/up"
	default:
		return grid.Frame{}, fmt.Errorf("platform is %q: want one whose envelope is known", platform)
	}
	f := grid.Frame{Address: topic, Raw: message}
	if f.Identity, f.Envelope, f.Note = envelope.Identify(topic, message); f.Note != "" {
		return f, fmt.Errorf("%s", f.Note)
	}
	return f, envelope.Open(&f)
}
