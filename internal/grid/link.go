package grid

import "time"

// LinkHealth is a line of the health view: one way by which frames come, or one peer at its
// far end, and how it is now.
type LinkHealth struct {
	Name        string    `json:"name"`      // of a link, the same in /readyz and metrics: mqtt.city, serial.riser-3, coap.udp; of a peer: who it is
	Transport   string    `json:"transport"` // as in the ledger
	Source      string    `json:"source"`    // as in the ledger
	Kind        LinkKind  `json:"kind"`
	Address     string    `json:"address,omitempty"` // where it listens, or whom it reaches
	Device      Identity  `json:"device,omitempty"`  // of a peer, who spoke last
	Up          bool      `json:"up"`
	Since       time.Time `json:"since,omitzero"`    // up, or not, since then; zero: nobody has tried yet
	Problem     string    `json:"problem,omitempty"` // what a person must look at, also while it is up
	Frames      uint64    `json:"frames"`            // since the start
	PerMinute   float64   `json:"per_minute"`        // frames of the last minute
	LastFrame   time.Time `json:"last_frame,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Detail      string    `json:"detail,omitempty"`
	Peers       int       `json:"peers"`
	PeersUp     int       `json:"peers_up"`
}

// LinkKind is what stands at the other end of a link, or what a peer is.
type LinkKind string

const (
	BrokerLink   LinkKind = "broker"   // a broker that we subscribe to
	EmbeddedLink LinkKind = "embedded" // our own broker
	PortLink     LinkKind = "port"     // a serial port, or a serial server that we call
	ListenerLink LinkKind = "listener" // devices come to us

	ClientPeer      LinkKind = "client"      // of the embedded broker
	SlavePeer       LinkKind = "slave"       // a Modbus unit that we ask
	TransmitterPeer LinkKind = "transmitter" // a user information transmission device
	CoAPPeer        LinkKind = "coap"        // an address, session or connection
	ConnectionPeer  LinkKind = "connection"  // to a listener for text or blocks
	LwM2MPeer       LinkKind = "lwm2m"       // a device that has registered
)

// Path is the link as devices' paths name it: silence behind one that is down is nobody's
// fault. Several listeners of one source are one path.
func (l *LinkHealth) Path() string { return l.Transport + ":" + l.Source }
