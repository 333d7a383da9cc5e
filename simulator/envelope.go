package simulator

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// Envelope is what stands between a device and MQTT, and what it makes of a payload.
type Envelope string

const (
	ChirpStack         Envelope = "chirpstack"          // v4, JSON
	ChirpStackProtobuf Envelope = "chirpstack-protobuf" // v4, protobuf
	TheThings          Envelope = "thethings"           // The Things Stack v3
	Native             Envelope = "native"              // gridgate/up/<identity>[/<port>]: the payload itself
	Zigbee2MQTT        Envelope = "zigbee2mqtt"
)

// ParseEnvelope reads the name of an envelope.
func ParseEnvelope(s string) (Envelope, error) {
	switch e := Envelope(s); e {
	case ChirpStack, ChirpStackProtobuf, TheThings, Native, Zigbee2MQTT:
		return e, nil
	}
	return "", grid.Errorf(grid.Invalid, "envelope is %q: want chirpstack, chirpstack-protobuf, thethings, native or zigbee2mqtt", s)
}

// uplink is a LoRaWAN frame as a network server has it.
type uplink struct {
	eui     string
	name    string
	model   string
	index   int
	counter uint32
	port    int
	payload []byte
	hash    uint64 // varies what a real network varies from frame to frame
	at      time.Time
	factor  int // spreading factor
	heard   []heard
}

// heard is one radio gateway that has heard a frame.
type heard struct {
	gateway string
	rssi    int
	snr     float64
}

// bandwidth of all channels, Hz.
const bandwidth = 125_000

func (u *uplink) addr() uint32          { return 0x26000000 | uint32(u.index)&0xffffff }
func (u *uplink) channel() int          { return int(u.hash >> 24 % 8) }
func (u *uplink) frequency() int        { return 470_300_000 + u.channel()*200_000 }
func (u *uplink) dataRate() int         { return 12 - u.factor }
func (u *uplink) uplinkID(i int) uint32 { return uint32(u.hash>>20) + uint32(i) }

// deduplicationID is a random UUID.
func (u *uplink) deduplicationID() string {
	h := u.hash
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(h>>32), uint16(h>>16), h&0xfff, u.counter&0xfff, h&0xffffffffffff)
}

func (u *uplink) stamp() string { return u.at.UTC().Format("2006-01-02T15:04:05.999999999+00:00") }

func chirpstackTopic(eui string) string {
	return "application/" + application + "/device/" + eui + "/event/up"
}

func chirpstackJSON(u *uplink) []byte {
	up := chirpstackUp{
		DeduplicationID: u.deduplicationID(),
		Time:            u.stamp(),
		DeviceInfo: deviceInfo{
			TenantID: tenant, TenantName: "gridsim",
			ApplicationID: application, ApplicationName: "gridsim",
			DeviceProfileID: deviceProfile, DeviceProfileName: u.model,
			DeviceName: u.name, DevEUI: u.eui, Tags: map[string]string{},
		},
		DevAddr: fmt.Sprintf("%08x", u.addr()),
		ADR:     true, DR: u.dataRate(), FCnt: u.counter, FPort: u.port,
		Data:   base64.StdEncoding.EncodeToString(u.payload),
		TxInfo: txInfo{u.frequency(), modulation{loraModulation{bandwidth, u.factor, "CR_4_5"}}},
	}
	for i, h := range u.heard {
		up.RxInfo = append(up.RxInfo, rxInfo{
			GatewayID: h.gateway, UplinkID: u.uplinkID(i), NsTime: u.stamp(), RSSI: h.rssi, SNR: h.snr, Channel: u.channel(),
			Context: "AAAAAA==", CRCStatus: "CRC_OK",
		})
	}
	return plainJSON(up)
}

func plainJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("simulator: plain values: " + err.Error())
	}
	return b
}

// tenant and deviceProfile of ChirpStack that all simulated devices belong to.
const (
	tenant        = "73696d75-6c61-4000-8000-74656e616e74"
	deviceProfile = "70726f66-696c-4000-8000-000000000000"
)

// proto writes the fields of a protobuf message; what is zero is left out, as ChirpStack
// leaves it out.
type proto []byte

func (p proto) number(field int, v uint64) proto {
	if v == 0 {
		return p
	}
	return binary.AppendUvarint(binary.AppendUvarint(p, uint64(field)<<3), v)
}

func (p proto) bytes(field int, v []byte) proto {
	if len(v) == 0 {
		return p
	}
	p = binary.AppendUvarint(binary.AppendUvarint(p, uint64(field)<<3|2), uint64(len(v)))
	return append(p, v...)
}

func (p proto) text(field int, v string) proto { return p.bytes(field, []byte(v)) }

func (p proto) float(field int, v float64) proto {
	if v == 0 {
		return p
	}
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(p, uint64(field)<<3|5), math.Float32bits(float32(v)))
}

// chirpstackProto is the same event as integration.UplinkEvent of ChirpStack's api.
func chirpstackProto(u *uplink) []byte {
	when := proto(nil).number(1, uint64(u.at.Unix())).number(2, uint64(u.at.Nanosecond()))
	info := proto(nil).text(1, tenant).text(2, "gridsim").text(3, application).text(4, "gridsim").
		text(5, deviceProfile).text(6, u.model).text(7, u.name).text(8, u.eui)
	up := proto(nil).text(1, u.deduplicationID()).bytes(2, when).bytes(3, info).text(4, fmt.Sprintf("%08x", u.addr())).
		number(5, 1).number(6, uint64(u.dataRate())).number(7, uint64(u.counter)).number(8, uint64(u.port)).bytes(10, u.payload)
	for i, h := range u.heard {
		rx := proto(nil).text(1, h.gateway).number(2, uint64(u.uplinkID(i))).number(6, uint64(int64(h.rssi))).float(7, h.snr).
			number(8, uint64(u.channel())).bytes(13, []byte{0, 0, 0, 0}).number(16, 2) // 2: CRC_OK
		up = up.bytes(12, rx)
	}
	lora := proto(nil).number(1, bandwidth).number(2, uint64(u.factor)).number(5, 1) // 1: CR_4_5
	return up.bytes(13, proto(nil).number(1, uint64(u.frequency())).bytes(2, proto(nil).bytes(3, lora)))
}

// theThingsApplication and theThingsTenant of all simulated devices.
const (
	theThingsApplication = "gridsim"
	theThingsTenant      = "sim"
)

func theThingsTopic(name string) string {
	return "v3/" + theThingsApplication + "@" + theThingsTenant + "/devices/" + name + "/up"
}

// theThings is an ApplicationUp of The Things Stack v3 in JSON; what is zero is left out.
func theThings(u *uplink) []byte {
	type ids struct {
		DeviceID    string            `json:"device_id"`
		Application map[string]string `json:"application_ids"`
		EUI         string            `json:"dev_eui"`
		JoinEUI     string            `json:"join_eui"`
		Addr        string            `json:"dev_addr"`
	}
	type metadata struct {
		Gateway struct {
			ID  string `json:"gateway_id"`
			EUI string `json:"eui"`
		} `json:"gateway_ids"`
		Time        string  `json:"time"`
		Timestamp   uint32  `json:"timestamp"`
		RSSI        int     `json:"rssi"`
		ChannelRSSI int     `json:"channel_rssi"`
		SNR         float64 `json:"snr,omitempty"`
		Channel     int     `json:"channel_index,omitempty"`
		Received    string  `json:"received_at"`
	}
	stamp := u.at.UTC().Format("2006-01-02T15:04:05.000000000Z")
	var rx []metadata
	for i, h := range u.heard {
		m := metadata{Time: stamp, Timestamp: u.uplinkID(i), RSSI: h.rssi, ChannelRSSI: h.rssi, SNR: h.snr, Channel: u.channel(), Received: stamp}
		m.Gateway.ID, m.Gateway.EUI = "gw-"+h.gateway[8:], upper(h.gateway)
		rx = append(rx, m)
	}
	up := map[string]any{
		"session_key_id":   base64.StdEncoding.EncodeToString([]byte("gridsim-session")),
		"f_port":           u.port,
		"frm_payload":      base64.StdEncoding.EncodeToString(u.payload),
		"rx_metadata":      rx,
		"settings":         map[string]any{"data_rate": map[string]any{"lora": map[string]any{"bandwidth": bandwidth, "spreading_factor": u.factor, "coding_rate": "4/5"}}, "frequency": strconv.Itoa(u.frequency()), "timestamp": u.uplinkID(0), "time": stamp},
		"received_at":      stamp,
		"consumed_airtime": fmt.Sprintf("%.6fs", airtime(len(u.payload), u.factor).Seconds()),
		"network_ids":      map[string]string{"net_id": "000013", "tenant_id": theThingsTenant},
	}
	if u.counter > 0 {
		up["f_cnt"] = u.counter
	}
	return plainJSON(map[string]any{
		"end_device_ids":  ids{u.name, map[string]string{"application_id": theThingsApplication}, upper(u.eui), "0000000000000000", fmt.Sprintf("%08X", u.addr())},
		"correlation_ids": []string{fmt.Sprintf("gs:uplink:%016x", u.hash)},
		"received_at":     u.at.Add(200 * time.Millisecond).UTC().Format("2006-01-02T15:04:05.000000000Z"),
		"uplink_message":  up,
	})
}

func upper(hex string) string {
	b := []byte(hex)
	for i, c := range b {
		if c >= 'a' && c <= 'f' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// airtime of a LoRaWAN frame with an n-byte payload at 125 kHz and 4/5 (Semtech AN1200.13).
func airtime(n, factor int) time.Duration {
	symbol := math.Exp2(float64(factor)) / bandwidth // seconds
	slow := 0.0
	if factor >= 11 {
		slow = 1
	}
	bits := 8*float64(n+13) - 4*float64(factor) + 28 + 16
	symbols := 8 + max(math.Ceil(bits/(4*(float64(factor)-2*slow)))*5, 0)
	return time.Duration((12.25 + symbols) * symbol * float64(time.Second))
}
