// Package sbom is for naming the software in an image: by the databases of package managers,
// by os-release and build manifests, by version strings, by what Go records. It says how each
// was found and never guesses a version that is not written there.
package sbom

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// A Component is one piece of software, with every place that names it.
type Component struct {
	Name      string  `json:"name"`                // busybox
	Version   string  `json:"version"`             // as it is written: 1.30.1-5
	Type      string  `json:"type"`                // application, library, operating-system, firmware
	Ecosystem string  `json:"ecosystem,omitempty"` // whose versions they are: Debian, Alpine, opkg, rpm, Go, Yocto; empty for upstream's own
	PURL      string  `json:"purl,omitempty"`
	Licence   string  `json:"licence,omitempty"`
	Digest    string  `json:"digest,omitempty"` // of a module, as its manager writes it
	Places    []Place `json:"places"`
}

// A Place is where a component was named.
type Place struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	How    string `json:"how"` // package-database, version-string, go-build-info, os-release, manifest, kernel
}

// maxField bounds names and versions, which come from the image.
const maxField = 200

// Set gathers components without doubles.
type Set struct {
	byKey map[string]*Component
}

// Add notes a component at a place.
func (s *Set) Add(c Component, p Place) {
	if s.byKey == nil {
		s.byKey = map[string]*Component{}
	}
	c.Name, c.Version, c.Licence = clip(c.Name), clip(c.Version), clip(c.Licence)
	if c.Name == "" {
		return
	}
	key := strings.Join([]string{c.Ecosystem, c.Name, c.Version}, "\x00")
	have, ok := s.byKey[key]
	if !ok {
		if c.PURL == "" {
			c.PURL = purl(c)
		}
		have = &c
		s.byKey[key] = have
	}
	if len(have.Places) < 64 && !slices.Contains(have.Places, p) {
		have.Places = append(have.Places, p)
	}
}

func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	return s[:min(len(s), maxField)]
}

// List is all components in order.
func (s *Set) List() []Component {
	out := make([]Component, 0, len(s.byKey))
	for _, c := range s.byKey {
		slices.SortFunc(c.Places, func(a, b Place) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Offset, b.Offset), strings.Compare(a.How, b.How))
		})
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Component) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Ecosystem, b.Ecosystem))
	})
	return out
}

// purl writes the package URL (ECMA-427) of the types that have one.
func purl(c Component) string {
	kind, space := "generic", ""
	switch c.Ecosystem {
	case "Debian":
		kind, space = "deb", "debian/"
	case "Alpine":
		kind, space = "apk", "alpine/"
	case "opkg":
		kind = "opkg"
	case "rpm":
		kind = "rpm"
	case "Go":
		kind = "golang"
	}
	out := "pkg:" + kind + "/" + space + strings.ReplaceAll(url.PathEscape(c.Name), "%2F", "/")
	if c.Version != "" {
		out += "@" + strings.ReplaceAll(url.QueryEscape(c.Version), "%3A", ":")
	}
	return out
}
