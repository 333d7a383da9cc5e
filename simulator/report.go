package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Note is one thing that happened in the simulated world, for a person to read.
type Note struct {
	At     time.Time `json:"at"`
	Who    string    `json:"who"`  // "sensor", "link", or a unit's id
	What   string    `json:"what"` // a word for a program: "alarm", "received", "accept", …
	Text   string    `json:"text"` // a sentence
	Point  string    `json:"point,omitempty"`
	Ticket string    `json:"ticket,omitempty"`
}

// Notes takes notes. nil is silence.
type Notes func(Note)

func (n Notes) say(note Note) {
	if n != nil {
		note.At = time.Now()
		n(note)
	}
}

// Print writes notes to w as lines of text, or of JSON.
func Print(w io.Writer, asJSON bool) Notes {
	var mu sync.Mutex
	return func(n Note) {
		mu.Lock()
		defer mu.Unlock()
		if asJSON {
			json.NewEncoder(w).Encode(n)
			return
		}
		fmt.Fprintf(w, "%s  %-13s %s\n", n.At.Format("15:04:05.000"), n.Who, n.Text)
	}
}
