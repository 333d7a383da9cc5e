package mqtt

import "github.com/eclipse/paho.mqtt.golang/packets"

// noStore is Paho's message store with nothing in it. Paho would keep a second copy of each
// message until it is acknowledged, and what it is asked to send without a connection
// piles up there without bound.
type noStore struct{}

func (noStore) Open()                             {}
func (noStore) Put(string, packets.ControlPacket) {}
func (noStore) Get(string) packets.ControlPacket  { return nil }
func (noStore) All() []string                     { return nil }
func (noStore) Del(string)                        {}
func (noStore) Close()                            {}
func (noStore) Reset()                            {}
