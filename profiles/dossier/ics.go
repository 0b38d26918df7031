package dossier

import (
	_ "embed"
	"maps"
	"slices"
	"strings"

	"assay/profiles/strict"
)

// Edition is the edition of EN 303 645 whose provisions an ICS claims. TS 103 701 V2.1.1, whose
// tables the IXIT has, tests this one.
const Edition = "V3.1.3"

// What support may be.
const (
	Supported     = "Y"
	NotSupported  = "N"
	NotApplicable = "N/A"
)

// ICS is the implementation conformance statement: what the maker claims, provision by provision.
type ICS struct {
	Edition    string           `yaml:"edition" json:"edition" enum:"V3.1.3"`
	Provisions map[string]Claim `yaml:"provisions" json:"provisions"`
}

// A Claim is one row of the ICS. N and N/A want a detail, or the judge fails the provision.
type Claim struct {
	Support string `yaml:"support" json:"support" enum:"Y|N|N/A"`
	Detail  string `yaml:"detail,omitempty" json:"detail,omitempty"`
}

// Justified tells whether a claim needs no justification or has one.
func (c Claim) Justified() bool { return c.Support == Supported || reasoned(c.Detail) }

// Support tells what the maker claims for a provision, e.g. 5.1-1; not ok means nothing.
func (d *Dossier) Support(provision string) (c Claim, ok bool) {
	if d.ICS == nil {
		return Claim{}, false
	}
	c, ok = d.ICS.Provisions[provision]
	if !ok || c.Support == Placeholder {
		return Claim{}, false
	}
	return c, true
}

//go:embed provisions.txt
var provisionsText string

// Provisions lists the ids of Edition in the order of the standard.
func Provisions() []string {
	var ids []string
	for line := range strings.Lines(provisionsText) {
		if id := strings.TrimSpace(line); id != "" && !strings.HasPrefix(id, "#") {
			ids = append(ids, id)
		}
	}
	return ids
}

// ics refuses provisions that the edition does not have. What only lacks words is noted.
func (c *checker) ics() {
	if c.d.ICS == nil {
		return
	}
	if c.d.ICS.Edition != Edition {
		c.doc.Complain("ics.edition", "is %q, wants %s: that is the one which the tables of TS 103 701 V2.1.1 test", c.d.ICS.Edition, Edition)
		return
	}
	known := Provisions()
	for _, id := range slices.Sorted(maps.Keys(c.d.ICS.Provisions)) {
		claim, key := c.d.ICS.Provisions[id], "ics.provisions."+id
		switch {
		case !slices.Contains(known, id):
			c.doc.Complain(key, "EN 303 645 %s has no provision %q%s", Edition, id, strict.Suggest(id, known))
		case claim.Support == Placeholder: // noted with the others
		case claim.Support != Supported && claim.Support != NotSupported && claim.Support != NotApplicable:
			c.doc.Complain(key+".support", "is %q, wants %s, %s or %s", claim.Support, Supported, NotSupported, NotApplicable)
		case strings.TrimSpace(claim.Detail) == "" && !claim.Justified():
			c.note(key, "claims %s without a justification, so it will fail: write detail", claim.Support)
		}
	}
	var missing []string
	for _, id := range known {
		if _, ok := c.d.ICS.Provisions[id]; !ok {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		c.note("ics.provisions", "says nothing about %s", few(missing))
	}
}
