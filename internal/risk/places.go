package risk

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/oschwald/geoip2-golang/v2"
)

// Place is roughly where a network is.
type Place struct {
	Name                string // such as "Lyon, France"
	Latitude, Longitude float64
	Located             bool // the coordinates are known
}

// Places tells where addresses are. A nil one knows nothing.
type Places struct {
	db *geoip2.Reader
}

// OpenPlaces reads a MaxMind City database, such as GeoLite2-City.mmdb. It is
// mapped into memory: replace the file and start again for a newer one.
func OpenPlaces(path string) (*Places, error) {
	db, err := geoip2.Open(path)
	if err != nil {
		return nil, err
	}
	if kind := db.Metadata().DatabaseType; !strings.Contains(kind, "City") && !strings.Contains(kind, "Enterprise") {
		_ = db.Close()
		return nil, fmt.Errorf("it is of type %s, and a City database is needed", kind)
	}
	return &Places{db: db}, nil
}

// Close frees the database.
func (p *Places) Close() error {
	if p == nil {
		return nil
	}
	return p.db.Close()
}

// Find returns the place of a source as limit.Source names it; the zero Place if
// nobody knows. A database that fails is like one that does not know.
func (p *Places) Find(source string) Place {
	addr, ok := address(source)
	if p == nil || !ok {
		return Place{}
	}
	found, err := p.db.City(addr)
	if err != nil {
		return Place{}
	}
	place := Place{Name: name(found, "en")}
	if at := found.Location; at.Latitude != nil && at.Longitude != nil {
		place.Latitude, place.Longitude, place.Located = *at.Latitude, *at.Longitude, true
	}
	return place
}

// Name is where a source is, in a language (BCP 47) if the database has it in
// that, else in English; "" if nobody knows.
func (p *Places) Name(source, language string) string {
	addr, ok := address(source)
	if p == nil || !ok {
		return ""
	}
	found, err := p.db.City(addr)
	if err != nil {
		return ""
	}
	return name(found, language)
}

func name(found *geoip2.City, language string) string {
	in := func(n geoip2.Names) string {
		said := map[string]string{"de": n.German, "fr": n.French}[language]
		return cmp.Or(said, n.English)
	}
	city, country := in(found.City.Names), in(found.Country.Names)
	if city == "" || country == "" {
		return city + country
	}
	return city + ", " + country
}

const earthRadius = 6371 // km

// distance is that of two places in kilometres, by the haversine formula.
func distance(a, b Place) float64 {
	radians := func(degrees float64) float64 { return degrees * math.Pi / 180 }
	half := func(x float64) float64 { return math.Pow(math.Sin(x/2), 2) }
	h := half(radians(b.Latitude-a.Latitude)) +
		math.Cos(radians(a.Latitude))*math.Cos(radians(b.Latitude))*half(radians(b.Longitude-a.Longitude))
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
}

// address reads a source: an address, or the network of one.
func address(source string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(source); err == nil {
		return addr, true
	}
	prefix, err := netip.ParsePrefix(source)
	return prefix.Addr(), err == nil
}

// network is what a source has in common with its neighbours: a household's
// address changes within it.
func network(source string) string {
	addr, ok := address(source)
	if !ok {
		return "unknown"
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}
