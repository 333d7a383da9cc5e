package gb26875

// Layout says where the parts of an information object are. A part that an object does
// not have is at None.
type Layout struct {
	Name      string
	Size      int // bytes of one; of a variable one: without its text
	Variable  bool
	System    int // system type and address, a byte each
	Component int // component type, then zone and position of two bytes each
	State     int // two bytes; one where there is no system
	Analog    int // quantity, then a value of two bytes
	Operation int // flags, then the operator
	Text      int // of TextSize bytes; of a variable one: the byte that says how many follow
	TextSize  int
	Time      int // of six bytes
}

// None is the place of a part that an object does not have.
const None = -1

// Object types that go up to the centre. 61 to 91 go down; 128 and up are a maker's own.
const (
	SystemState         = 1
	ComponentState      = 2
	ComponentAnalog     = 3
	SystemOperation     = 4
	SystemVersion       = 5
	SystemConfiguration = 6
	ComponentText       = 7
	SystemTime          = 8
	DeviceState         = 21
	DeviceOperation     = 24
	DeviceVersion       = 25
	DeviceConfiguration = 26
	DeviceTime          = 28
)

// Standard gives the layout of the objects that the standard defines.
func Standard(objectType byte) (Layout, bool) {
	l, ok := standard[objectType]
	return l, ok
}

var standard = map[byte]Layout{
	SystemState:         {"system", 10, false, 0, None, 2, None, None, None, 0, 4},
	ComponentState:      {"component", 46, false, 0, 2, 7, None, None, 9, 31, 40},
	ComponentAnalog:     {"analog", 16, false, 0, 2, None, 7, None, None, 0, 10},
	SystemOperation:     {"operation", 10, false, 0, None, None, None, 2, None, 0, 4},
	SystemVersion:       {"version", 4, false, 0, None, None, None, None, None, 0, None},
	SystemConfiguration: {"configuration", 3, true, 0, None, None, None, None, 2, 0, None},
	ComponentText:       {"component_text", 38, false, 0, 2, None, None, None, 7, 31, None},
	SystemTime:          {"time", 8, false, 0, None, None, None, None, None, 0, 2},
	DeviceState:         {"device", 7, false, None, None, 0, None, None, None, 0, 1},
	DeviceOperation:     {"device_operation", 8, false, None, None, None, None, 0, None, 0, 2},
	DeviceVersion:       {"device_version", 2, false, None, None, None, None, None, None, 0, None},
	DeviceConfiguration: {"device_configuration", 1, true, None, None, None, None, None, 0, 0, None},
	DeviceTime:          {"device_time", 6, false, None, None, None, None, None, None, 0, 0},
}

// Names of the bits of a state, by what it is the state of; "" is reserved. Bit 0 is
// normal operation where it is 1, and a test where it is 0.
var (
	systemBits = [16]string{
		1: "fire", 2: "fault", 3: "shielded", 4: "supervisory", 5: "started", 6: "feedback", 7: "delay",
		8: "main_power_fault", 9: "backup_power_fault", 10: "bus_fault", 11: "manual", 12: "configuration_changed", 13: "reset",
	}
	componentBits = [16]string{
		1: "fire", 2: "fault", 3: "shielded", 4: "supervisory", 5: "started", 6: "feedback", 7: "delay", 8: "power_fault",
	}
	deviceBits = [16]string{
		1: "fire", 2: "fault", 3: "main_power_fault", 4: "backup_power_fault", 5: "link_fault", 6: "line_fault",
	}
	systemFlags = [8]string{"op_reset", "op_mute", "op_manual_alarm", "op_cleared", "op_self_test", "op_confirm", "op_test"}
	deviceFlags = [8]string{"op_reset", "op_mute", "op_manual_alarm", "op_cleared", "op_self_test", "duty_answer", "op_test"}
)

// StateBits names the bits of the object's state, all but bit 0.
func (l *Layout) StateBits() [16]string {
	switch {
	case l.Component != None:
		return componentBits
	case l.System != None:
		return systemBits
	}
	return deviceBits
}

// OperationFlags names what an operation record says was done.
func (l *Layout) OperationFlags() [8]string {
	if l.System != None {
		return systemFlags
	}
	return deviceFlags
}

// Quantity is what an analog value measures: the value divided by Per is in Unit.
type Quantity struct {
	Name string
	Per  float64
	Unit string // UCUM
}

// Quantities are those of the standard, by their code; 128 and up are a maker's own.
var Quantities = [13]Quantity{
	1:  {"count", 1, ""},
	2:  {"height", 100, "m"},
	3:  {"temperature", 10, "Cel"},
	4:  {"pressure_mpa", 10, "MPa"},
	5:  {"pressure_kpa", 10, "kPa"}, // printed MPa, a misprint
	6:  {"gas", 10, "%[LEL]"},
	7:  {"time", 1, "s"},
	8:  {"voltage", 10, "V"},
	9:  {"current", 10, "A"},
	10: {"flow", 10, "L/s"},
	11: {"air_volume", 10, "m3/min"},
	12: {"air_speed", 1, "m/s"},
}

// Class is a group of component types that mean the same to a monitoring centre.
type Class struct {
	Name  string
	Types []string // 40, or 40-44
}

// Classes groups the component types of the standard; what is in none is "other".
func Classes() []Class {
	return []Class{
		{"smoke", []string{"40-44", "50", "51"}}, // 50 combined, 51 smoke and heat
		{"heat", []string{"30-37"}},
		{"call", []string{"23"}}, // manual call point
		{"flame", []string{"60-62", "69"}},
		{"gas", []string{"10-13", "74", "81"}},
		{"electric", []string{"16-18"}},
		{"door", []string{"102", "117", "118"}}, // fire door, shutter controller, fire door monitor
		{"hydrant", []string{"24"}},             // hydrant button
		{"water", []string{"91", "92", "95-99"}},
	}
}
