package engine

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const loraDev = grid.Identity("eui:24e124136b502217")

// event makes a frame of a message of ChirpStack.
func event(kind, raw string) grid.Frame {
	return grid.Frame{
		Identity: loraDev, Transport: "mqtt", Source: "test", Envelope: envelope.ChirpStack,
		Address: "application/1/device/24e124136b502217/event/" + kind, Raw: []byte(raw),
	}
}

func (r *rig) health(id grid.Identity) grid.DeviceHealth {
	r.t.Helper()
	return must[grid.DeviceHealth](r.t)(r.engine.LiveDevice(r.t.Context(), id))
}

func TestBatteryThatTheNetworkSaysIsOfTheDevicesHealth(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", loraDev)
	r.send(event("status", `{"margin":5,"batteryLevel":62.5}`))
	if h := r.health(loraDev); h.BatteryPct == nil || *h.BatteryPct != 62.5 || !h.LastHeard.Equal(r.now()) {
		t.Fatalf("health is %+v: want 62.5 %%", h)
	}
	r.restart()
	r.after(time.Minute)
	r.send(event("status", `{"externalPowerSource":true}`), event("status", `{"batteryLevel":60}`))
	if h := r.health(loraDev); h.BatteryPct == nil || *h.BatteryPct != 60 {
		t.Errorf("health is %+v: want 60 %%", h)
	}
	// What the device says of itself counts more, from then on.
	r.send(event("up", `{"fPort":1,"data":"eyJiYXR0ZXJ5LmxldmVsIjo0MH0="}`)) // {"battery.level":40}
	r.send(event("status", `{"batteryLevel":90}`))
	if h := r.health(loraDev); h.BatteryPct == nil || *h.BatteryPct != 40 {
		t.Errorf("health is %+v: want 40 %%", h)
	}
	if got := r.ledger(); got[grid.IgnoredFrame] != 4 || got[grid.Processed] != 1 {
		t.Errorf("ledger is %v", got)
	}
}

func TestBatteryOfTheNetworkIsStoredWhenItChanges(t *testing.T) {
	kept := &shelf{}
	r := newRig(t, func(c *Config) { kept.Series, c.Series = c.Series, kept })
	r.place(grid.Door, "D1", loraDev)
	for _, level := range []string{"62.4", "62.2", "61"} {
		r.send(event("status", `{"batteryLevel":`+level+`}`))
		r.after(time.Minute)
	}
	if got := kept.of("device_health"); len(got) != 3 { // the first of the hour, its battery, and the change
		t.Errorf("stored %q", got)
	}
}

func TestSilentDeviceIsNotHeardByWhatTheNetworkSaysOfIt(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", loraDev)
	r.send(event("up", `{"fPort":1,"data":"e30="}`))
	heard := r.now()
	r.after(10 * time.Minute)
	r.send(event("log", `{"level":"ERROR"}`), event("ack", `{}`), event("txack", `{}`))
	if h := r.health(loraDev); !h.LastHeard.Equal(heard) {
		t.Errorf("last heard %s: want %s", h.LastHeard, heard)
	}
	r.send(event("ack", `{"acknowledged":true}`))
	if h := r.health(loraDev); !h.LastHeard.Equal(r.now()) {
		t.Errorf("last heard %s: want now", h.LastHeard)
	}
	if got := r.ledger(); got[grid.IgnoredFrame] != 4 {
		t.Errorf("ledger is %v", got)
	}
}

func TestWillIsShownUntilTheDeviceSpeaksAndOpensNothing(t *testing.T) {
	r := newRig(t)
	r.place(grid.Smoke, "S1", "sn:s1")
	status := func(said string, flags grid.FrameFlags) grid.Frame {
		return grid.Frame{Identity: "sn:s1", Transport: "mqtt", Source: "test", Envelope: envelope.Native, Address: "gridgate/status/sn:s1", Raw: []byte(said), Flags: flags}
	}
	gone := func(want bool, when string) {
		t.Helper()
		if h := r.health("sn:s1"); h.Gone != want {
			t.Errorf("%s: gone is %v", when, h.Gone)
		}
	}
	r.send(status("online", 0))
	heard := r.now()
	r.after(time.Minute)
	r.send(status("offline", 0))
	gone(true, "after its will")
	if h := r.health("sn:s1"); !h.LastHeard.Equal(heard) || h.Offline || len(r.tickets()) != 0 {
		t.Errorf("a will is no word of the device, and silence is judged by supervision: %+v", h)
	}
	r.restart()
	gone(true, "after a restart")
	r.say("sn:s1", `{"smoke.alarm":false,"seq":1}`)
	gone(false, "when it speaks")
	r.send(status("offline", grid.Retained))
	gone(true, "as the broker held it")
	r.send(status("online", grid.Retained))
	gone(false, "as the broker held it later")
}

func TestRepeatOfAnUplinkWithItsGatewaysIsADuplicate(t *testing.T) {
	r := newRig(t)
	r.place(grid.Smoke, "S1", loraDev)
	loriot := func(cmd, gateways string) grid.Frame {
		f := event("up", `{"cmd":"`+cmd+`","EUI":"24E124136B502217","fcnt":9,"port":1,`+gateways+`"data":"7B22736D6F6B652E616C61726D223A747275657D"}`) // {"smoke.alarm":true}
		f.Envelope, f.Address = envelope.LORIOT, "gridgate/loriot/x"
		return f
	}
	r.send(loriot("rx", ``), loriot("gw", `"gws":[{"rssi":-70,"gweui":"01"}],`))
	if got := r.ledger(); got[grid.Processed] != 1 || got[grid.Duplicate] != 1 {
		t.Errorf("ledger is %v: want one processed and one duplicate", got)
	}
}

func TestMessageOfABridgeAboutItselfIsIgnored(t *testing.T) {
	r := newRig(t)
	r.send(grid.Frame{Transport: "mqtt", Source: "test", Envelope: envelope.Zigbee2MQTT, Address: "zigbee2mqtt/bridge/devices", Flags: grid.Marker | grid.Refused, Note: "large"})
	if got := r.ledger(); got[grid.IgnoredFrame] != 1 || len(r.quarantine()) != 0 {
		t.Errorf("ledger is %v", got)
	}
}

func TestDeviceSilentPastItsOwnLifetimeIsOffline(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Door, "D2", "sn:door-2")
	said := func(id grid.Identity, event string) grid.Frame {
		return grid.Frame{Identity: id, Transport: "coap", Source: "test", Envelope: envelope.Native, Address: "/up/" + string(id) + "?event=" + event, Raw: []byte("lt=600")}
	}
	offline := func() (n int) {
		for _, a := range r.alarms(state.Query{Type: string(grid.EventDeviceOffline)}) {
			if a.Active {
				n++
			}
		}
		return n
	}
	r.send(said(doorDev, "register"), said("sn:door-2", "register"))
	heard := r.now()
	if h := r.health(doorDev); !h.LastHeard.Equal(heard) {
		t.Errorf("last heard %s: want %s, when it registered", h.LastHeard, heard)
	}
	r.after(5 * time.Minute)
	r.send(said("sn:door-2", "update"), said("sn:door-2", "expired&lifetime=600"))
	if n := offline(); n != 0 {
		t.Errorf("%d offline: it was heard by another way", n)
	}
	r.after(6 * time.Minute)
	r.send(said("sn:door-2", "update"), said(doorDev, "expired&lifetime=600"))
	if n := offline(); n != 1 || !r.health(doorDev).Offline || !r.health(doorDev).Gone {
		t.Errorf("%d offline, health %+v", n, r.health(doorDev))
	}
	r.restart()
	if n := offline(); n != 1 {
		t.Errorf("%d offline after a restart", n)
	}
	r.send(said(doorDev, "register"))
	if n := offline(); n != 0 || r.health(doorDev).Gone {
		t.Error("it has registered again and is still offline")
	}
}

func TestDevicesSilentPastTheirLifetimeBehindASilentWayAreOneFault(t *testing.T) {
	r := newRig(t)
	r.units()
	ids := []grid.Identity{doorDev, "sn:door-2", "sn:door-3"}
	event := func(id grid.Identity, event string) grid.Frame {
		return grid.Frame{Identity: id, Transport: "coap", Source: "test", Envelope: envelope.Native, Address: "/up/" + string(id) + "?event=" + event, Raw: []byte("lt=600")}
	}
	for i, id := range ids {
		r.place(grid.Door, fmt.Sprintf("D%d", i), id)
		r.send(event(id, "register"))
	}
	r.after(20 * time.Minute)
	for _, id := range ids {
		r.send(event(id, "expired&lifetime=600"))
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})); n != 0 {
		t.Errorf("%d offline one by one", n)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventGatewaySilent)})); n != 1 {
		t.Errorf("%d faults of the way: want 1", n)
	}
}
