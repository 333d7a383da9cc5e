package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// Message is one MQTT publish of a virtual device, with what a lossless check compares.
type Message struct {
	Identity grid.Identity `json:"identity"`
	Counter  uint32        `json:"counter"` // frames this device has sent before
	Kind     Why           `json:"kind"`
	At       time.Time     `json:"at"` // made; --print-sent writes it once acknowledged
	Topic    string        `json:"topic"`
	Payload  []byte        `json:"-"`
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

// chirpstack wraps a payload. hash varies what a real network varies from frame to frame.
func chirpstack(d *Device, port int, payload []byte, hash uint64, now time.Time) []byte {
	stamp := now.UTC().Format("2006-01-02T15:04:05.999999999+00:00")
	up := chirpstackUp{
		DeduplicationID: fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(hash>>32), uint16(hash>>16), hash&0xfff, d.Counter&0xfff, hash&0xffffffffffff),
		Time:            stamp,
		DeviceInfo: deviceInfo{
			TenantID: "73696d75-6c61-4000-8000-74656e616e74", TenantName: "gridsim",
			ApplicationID: application, ApplicationName: "gridsim",
			DeviceProfileID: "70726f66-696c-4000-8000-000000000000", DeviceProfileName: d.Model.Name,
			DeviceName: d.Name, DevEUI: d.EUI, Tags: map[string]string{},
		},
		DevAddr: fmt.Sprintf("%08x", 0x26000000|uint32(d.Index)&0xffffff),
		ADR:     true, DR: 5, FCnt: d.Counter, FPort: port,
		Data: base64.StdEncoding.EncodeToString(payload),
		RxInfo: []rxInfo{{
			GatewayID: d.Gateway, UplinkID: uint32(hash >> 20), NsTime: stamp,
			RSSI: -60 - int(hash%55), SNR: float64(int(hash>>8%25)-10) / 2, Channel: int(hash >> 16 % 8),
			Context: "AAAAAA==", CRCStatus: "CRC_OK",
		}},
		TxInfo: txInfo{470_300_000 + int(hash>>24%8)*200_000, modulation{loraModulation{125_000, 7, "CR_4_5"}}},
	}
	b, err := json.Marshal(up)
	if err != nil {
		panic("simulator: plain values: " + err.Error())
	}
	return b
}
