package profile

// Units of measure as SenML writes them (RFC 8428, section 12.1, and the secondary units
// of RFC 8798), as far as our signals are measured in them.

// uom says how a unit relates to the first of its family: first = value × mul / div + add.
type uom struct {
	family        string
	mul, div, add float64
}

func uomOf(name string) (uom, bool) {
	switch name {
	case "V", "m", "s", "Pa":
		return uom{name, 1, 1, 0}, true
	case "mV":
		return uom{"V", 1, 1e3, 0}, true
	case "mm":
		return uom{"m", 1, 1e3, 0}, true
	case "cm":
		return uom{"m", 1, 1e2, 0}, true
	case "km":
		return uom{"m", 1e3, 1, 0}, true
	case "ms":
		return uom{"s", 1, 1e3, 0}, true
	case "min":
		return uom{"s", 60, 1, 0}, true
	case "h":
		return uom{"s", 3600, 1, 0}, true
	case "hPa":
		return uom{"Pa", 100, 1, 0}, true
	case "Cel":
		return uom{"Cel", 1, 1, 0}, true
	case "K":
		return uom{"Cel", 1, 1, -273.15}, true
	case "%", "%EL", "/100": // %EL is the battery's
		return uom{"%", 1, 1, 0}, true
	case "/":
		return uom{"%", 100, 1, 0}, true
	case "dBm":
		return uom{"dBm", 1, 1, 0}, true
	case "dBW":
		return uom{"dBm", 1, 1, 30}, true
	case "deg":
		return uom{"deg", 1, 1, 0}, true
	case "rad":
		return uom{"deg", 180, pi, 0}, true
	}
	return uom{}, false
}

const pi = 3.14159265358979323846

// convert turns a value of one unit into another; ok is false where they measure
// different things, or one of them is not known.
func convert(v float64, from, to string) (converted float64, ok bool) {
	if from == to {
		return v, true
	}
	a, knownA := uomOf(from)
	b, knownB := uomOf(to)
	if !knownA || !knownB || a.family != b.family {
		return 0, false
	}
	return (v*a.mul/a.div + a.add - b.add) * b.div / b.mul, true
}
