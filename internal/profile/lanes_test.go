package profile

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestCodecsOfTheBulkLaneKeepNoWorkerFromSmoke(t *testing.T) {
	p := newWorkers()
	defer p.close()
	s, err := p.script("codec.js", "function decodeUplink(i) { return {data: {n: i.bytes[0]}} }", "")
	if err != nil {
		t.Fatal(err)
	}
	for range cap(p.slots[grid.Bulk]) {
		p.slots[grid.Bulk] <- struct{}{} // as a codec that takes all the time it may
	}
	ended := make(chan error, 2)
	decode := func(pos grid.Pos) {
		f := grid.Frame{Pos: pos, Received: time.Now(), Uplink: grid.Uplink{Payload: []byte{7}}}
		ended <- s.decode(opDecode, 1, &f, func([]byte) error { return nil })
	}
	go decode(grid.Pos{Lane: grid.Safety, Epoch: 1, Seq: 1})
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a frame of the safety lane waits for codecs of the bulk lane")
	}
	go decode(grid.Pos{}) // tried out by a person: among the bulk
	<-p.slots[grid.Bulk]
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
