package grid

// RegionKind is the level of a region; its code is that many digits long.
type RegionKind string

const (
	DistrictRegion  RegionKind = "district"  // 6 digits
	StreetRegion    RegionKind = "street"    // 9
	CommunityRegion RegionKind = "community" // 12
	CellRegion      RegionKind = "cell"      // 15
)

// Region is a district, street, community or cell with its border. One without a shape is
// known by its name alone.
type Region struct {
	Code      string     `json:"code"`
	Kind      RegionKind `json:"kind"`
	Name      string     `json:"name,omitempty"` // as its people write it
	NameEN    string     `json:"name_en,omitempty"`
	Scope     Scope      `json:"scope"`          // by its code
	Cell      string     `json:"cell,omitempty"` // of a cell its own code
	Mode      Mode       `json:"mode"`
	Schematic bool       `json:"schematic,omitempty"` // drawn to look like the place, and not surveyed
	Synthetic bool       `json:"synthetic,omitempty"` // made by the generator: its code is nobody's
	Source    string     `json:"source,omitempty"`    // what the file says it comes from
	Shape     Shape      `json:"shape,omitempty"`
}

// Shape is polygons, each an outer ring and its holes, each ring closed positions in
// WGS84, longitude first.
type Shape [][][][2]float64

// Position is one as somebody gave it.
type Position struct {
	Lon float64 `json:"lon" yaml:"lon"`
	Lat float64 `json:"lat" yaml:"lat"`
	CRS string  `json:"crs" yaml:"crs"` // WGS84, CGCS2000, GCJ02 or BD09
}

// How a point came to its cell (Point.Placed).
const (
	PlacedByRegion = "region" // its position said so: it follows when borders change
	PlacedByHand   = "hand"   // somebody said so: it stays
)

// RegionsPut says what an import of regions did.
type RegionsPut struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Removed int `json:"removed"`
	Same    int `json:"same"`
}
