package grid

import "time"

// ClaimLabel is a label of ours with a claim token on it. The token itself is on the label alone.
type ClaimLabel struct {
	ID      string    `json:"id"`
	Hash    string    `json:"-"` // of the token
	Device  Identity  `json:"device"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	By      Actor     `json:"by"`
	Used    time.Time `json:"used,omitzero"`  // the device was claimed with it
	Ended   time.Time `json:"ended,omitzero"` // it was used, revoked or replaced
	Why     string    `json:"why,omitempty"`
	EndedBy Actor     `json:"ended_by,omitzero"`
	Scope             // where the device may be claimed; what is empty does not narrow
	Cell    string    `json:"cell,omitempty"`
	Mode    Mode      `json:"mode"`
}

// Holds reports whether its token still claims the device.
func (l *ClaimLabel) Holds(now time.Time) bool { return l.Ended.IsZero() && now.Before(l.Expires) }

// Ignored is a stranger that a person has set aside. It is listed apart; its frames are counted and
// kept as ever, and what speaks of smoke among them is raised as ever.
type Ignored struct {
	Identity Identity  `json:"-"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	By       Actor     `json:"by"`
	Ended    time.Time `json:"-"` // it is not ignored any more
	Scope    `json:"-"`
	Cell     string `json:"-"`
	Mode     Mode   `json:"-"`
}

// Claim makes a stranger, or a device that is registered and nowhere installed, one of ours.
type Claim struct {
	Device Device
	// Point is made in the same step, if it is not there yet.
	Point         *Point
	Installations []Installation
	Token         string // the hash of the token that was shown; "": none
	// Reach is what whoever claims may reach: beyond it nothing is claimed. Zero: everything.
	Reach Scope
	Act
}

// Claimed says what came of a claim.
type Claimed struct {
	Device   Device `json:"device"`
	Point    *Point `json:"point,omitempty"` // that was made with it
	Replayed int    `json:"replayed"`
	Waiting  int    `json:"still,omitempty"` // frames that still wait: they are tried again by themselves
}

// Stranger is a discovered device with what it says.
type Stranger struct {
	Discovered
	Count  int             `json:"count"` // frames heard of it; those shown are the newest
	Signal *StrangerSignal `json:"signal,omitempty"`
	Heard  []StrangerFrame `json:"frames"`
}

// StrangerSignal is how well it is heard, over the frames shown.
type StrangerSignal struct {
	RSSIdBm   *float32 `json:"rssi_dbm,omitempty"` // of the newest frame that says it
	SNRdB     *float32 `json:"snr_db,omitempty"`
	WorstRSSI *float32 `json:"worst_rssi_dbm,omitempty"`
	WorstSNR  *float32 `json:"worst_snr_db,omitempty"`
	Gateway   string   `json:"gateway,omitempty"`
}

// StrangerFrame is a quarantined frame, and what it says if its best guess is right.
type StrangerFrame struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Transport string    `json:"transport"`
	Source    string    `json:"source"`
	RSSIdBm   *float32  `json:"rssi_dbm,omitempty"`
	SNRdB     *float32  `json:"snr_db,omitempty"`
	Hex       string    `json:"hex"` // of the payload, or of the raw frame if it cannot be opened
	Port      int       `json:"port,omitempty"`
	Profile   string    `json:"profile,omitempty"` // by which the readings were read
	Readings  []Reading `json:"readings"`
	Error     string    `json:"error,omitempty"` // why there are none
	Fire      bool      `json:"fire,omitempty"`  // it says that there is a fire
}
