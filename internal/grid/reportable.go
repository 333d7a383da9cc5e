package grid

// Reportable is an event that people can report, with what it is worth now.
type Reportable struct {
	Type     EventType `json:"type"`
	Kind     EventKind `json:"kind"`
	Priority Priority  `json:"priority"` // of the event, or of the point that was named; a posture may raise it
	Lowest   Priority  `json:"lowest"`   // it may be filed down to this one
	TitleZH  string    `json:"title_zh"`
	TitleEN  string    `json:"title_en"`
}

// HazardKind is a kind of hazard with its check-list, as people are shown it.
type HazardKind struct {
	Kind      string           `json:"kind"`
	TitleZH   string           `json:"title_zh"`
	TitleEN   string           `json:"title_en"`
	Level     string           `json:"level"` // general or major
	Priority  Priority         `json:"priority"`
	Questions []HazardQuestion `json:"questions"`
}

// HazardQuestion is a line of a check-list. The answer Danger speaks of the hazard.
type HazardQuestion struct {
	ID     string `json:"id"`
	ZH     string `json:"zh"`
	EN     string `json:"en"`
	Danger string `json:"danger"` // yes or no
}

// HazardStep is one line of the table of moves: who may, from where.
type HazardStep struct {
	Verb HazardVerb    `json:"verb"`
	Who  []Role        `json:"who"`
	From []HazardState `json:"from"`
	To   HazardState   `json:"to,omitempty"` // left out: the state stays
}

// PostureEffect is what a posture changes of one event; what is left out stays as it is.
type PostureEffect struct {
	Type     EventType `json:"type"`
	TitleZH  string    `json:"title_zh"`
	TitleEN  string    `json:"title_en"`
	Priority Priority  `json:"priority,omitempty"`
	Own      Priority  `json:"own"`             // the event's own priority
	OnDelayS *float64  `json:"on_delay_s"`      // abnormal for so long: raised
	OwnS     []float64 `json:"own_s,omitempty"` // how long it is without the posture, of each rule that differs
	By       string    `json:"by,omitempty"`    // point, building or cell: these episodes are one incident
}

// PostureEffects is what one posture changes.
type PostureEffects struct {
	Name    PostureName     `json:"posture"`
	Changes []PostureEffect `json:"changes"`
}
