package simulator

import (
	"time"

	"gridgate/internal/grid"
)

// Message is what a virtual device sends, once, with what a lossless check compares.
type Message struct {
	Wire     Wire          `json:"wire,omitempty"` // "" is MQTT
	Identity grid.Identity `json:"identity"`
	Counter  uint32        `json:"counter"` // frames this device has sent before
	Kind     Why           `json:"kind"`
	At       time.Time     `json:"at"` // made; --print-sent writes it once acknowledged
	Topic    string        `json:"topic"`
	Format   uint16        `json:"format,omitempty"` // CoAP content format
	Payload  []byte        `json:"-"`

	bcd bool // of GB/T 26875.3: the frame's time is in BCD too
}

// chirpstackUp is an uplink event of ChirpStack v4 as its MQTT integration writes it:
// what is zero, false or empty is left out.
type chirpstackUp struct {
	DeduplicationID string     `json:"deduplicationId"`
	Time            string     `json:"time"`
	DeviceInfo      deviceInfo `json:"deviceInfo"`
	DevAddr         string     `json:"devAddr"`
	ADR             bool       `json:"adr,omitempty"`
	DR              int        `json:"dr,omitempty"`
	FCnt            uint32     `json:"fCnt,omitempty"`
	FPort           int        `json:"fPort,omitempty"`
	Data            string     `json:"data,omitempty"`
	RxInfo          []rxInfo   `json:"rxInfo,omitempty"`
	TxInfo          txInfo     `json:"txInfo"`
}

type deviceInfo struct {
	TenantID          string            `json:"tenantId"`
	TenantName        string            `json:"tenantName"`
	ApplicationID     string            `json:"applicationId"`
	ApplicationName   string            `json:"applicationName"`
	DeviceProfileID   string            `json:"deviceProfileId"`
	DeviceProfileName string            `json:"deviceProfileName"`
	DeviceName        string            `json:"deviceName"`
	DevEUI            string            `json:"devEui"`
	Tags              map[string]string `json:"tags"`
}

type rxInfo struct {
	GatewayID string  `json:"gatewayId"`
	UplinkID  uint32  `json:"uplinkId,omitempty"`
	NsTime    string  `json:"nsTime"`
	RSSI      int     `json:"rssi,omitempty"`
	SNR       float64 `json:"snr,omitempty"`
	Channel   int     `json:"channel,omitempty"`
	Context   string  `json:"context"`
	CRCStatus string  `json:"crcStatus"`
}

type txInfo struct {
	Frequency  int        `json:"frequency"`
	Modulation modulation `json:"modulation"`
}

type modulation struct {
	LoRa loraModulation `json:"lora"`
}

type loraModulation struct {
	Bandwidth       int    `json:"bandwidth"`
	SpreadingFactor int    `json:"spreadingFactor"`
	CodeRate        string `json:"codeRate"`
}

// application is the ChirpStack application that all simulated devices belong to.
const application = "6d6f6465-6c00-4000-8000-73696d756c61"

// chirpstack wraps a payload of a fleet's device, which one radio gateway hears. hash varies
// what a real network varies from frame to frame.
func chirpstack(d *Device, port int, payload []byte, hash uint64, now time.Time) []byte {
	return chirpstackJSON(&uplink{
		eui: d.EUI, name: d.Name, model: d.Model.Name, index: d.Index, counter: d.Counter, port: port, payload: payload, hash: hash, at: now, factor: 7,
		heard: []heard{{d.Gateway, -60 - int(hash%55), float64(int(hash>>8%25)-10) / 2}},
	})
}
