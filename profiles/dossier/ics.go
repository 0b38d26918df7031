package dossier

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/profiles"
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
func (c Claim) Justified() bool { return c.Support == Supported || Reasoned(c.Detail) }

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

// Claims tells what the ICS claims for a requirement of the standard and edition that it is about.
func (d *Dossier) Claims(r profiles.Required) (c Claim, ok bool) {
	if !r.Standard.ICS || d.ICS == nil || d.ICS.Edition != r.Standard.Edition {
		return Claim{}, false
	}
	return d.Support(r.ID)
}

// Denies is how Spares begins where a feature is denied.
const Denies = "the dossier denies "

// Spares tells whether the dossier takes a requirement out of the questions, and why: it denies what
// the condition needs, or the ICS does not claim it, each with a reason. What the ICS may not leave out
// is asked all the same.
func (d *Dossier) Spares(r profiles.Required) (because string, spared bool) {
	if !r.When.Holds(d.Spared) {
		var denied []string
		for _, f := range r.When.Features() {
			if why, _ := d.Lacks(f); d.Spared(f) {
				denied = append(denied, f+" ("+strings.TrimSpace(why)+")")
			}
		}
		return Denies + strings.Join(denied, ", "), true
	}
	claim, ok := d.Claims(r)
	conditional := len(r.When.Features()) > 0
	if !ok || !claim.Justified() {
		return "", false
	}
	switch {
	case claim.Support == NotSupported && r.Level != profiles.Mandatory:
		return "the ICS does not claim this recommendation: " + strings.TrimSpace(claim.Detail), true
	case claim.Support == NotApplicable && (conditional || r.Level != profiles.Mandatory):
		return "the ICS answers N/A: " + strings.TrimSpace(claim.Detail), true
	}
	return "", false
}

// Condemns tells whether the ICS by itself keeps a requirement from being met, and why: what is mandatory
// and not claimed is not met, and every N and N/A wants a reason.
func (d *Dossier) Condemns(r profiles.Required) (why string, condemned bool) {
	claim, ok := d.Claims(r)
	if !ok || claim.Support == Supported || !r.When.Holds(d.Spared) {
		return "", false
	}
	detail := strings.TrimSpace(claim.Detail)
	mandatory, conditional := r.Level == profiles.Mandatory, len(r.When.Features()) > 0
	switch {
	case !claim.Justified():
		return fmt.Sprintf("the ICS answers %s without a reason: write detail, or claim it and have it tested", claim.Support), true
	case claim.Support == NotSupported && mandatory:
		return "the ICS says that the product does not support it: " + detail, true
	case claim.Support == NotApplicable && mandatory && !conditional:
		return "the ICS answers N/A, but the provision has no condition: " + detail, true
	}
	return "", false
}
