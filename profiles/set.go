package profiles

import (
	"encoding/json"
	"maps"
	"slices"

	"assay/profiles/expr"
)

// How the reason begins why a step is not asked by plan; the judge knows them by it.
// Strings in evidence are API.
const (
	NotAskedNeeds  = "needs "                                // an instrument or operation is missing
	NotAskedDenied = "the dossier denies, with its reason: " // no check that wants the step applies
)

// A Set is one profile with everything it selects, loaded and compiled. It does not change.
type Set struct {
	Profile   Profile
	Standards []*Standard // the selected ones, each with its selected requirements
	Features  []Feature
	Schemas   map[string]Schema // of every probe that the loaded checks name
	Register  []DatedFact       // dated facts about the selected standards
	Omitted   Omitted           // what the profile leaves out of what it selects

	required []Required
	checks   map[string]*CompiledCheck
	files    map[string][]byte
}

// A Required is one selected requirement, with those of its units that the profile takes.
type Required struct {
	Standard *Standard
	Requirement
	When Condition // when it applies
}

// Omitted counts what a profile leaves out of the standards that it selects. It is told with
// every statement: conformity to a part is not conformity to the whole.
type Omitted struct {
	Taken        int         `json:"taken"`                  // requirements that are asked
	Total        int         `json:"total"`                  // requirements of the selected standards, whole
	Exclusions   []Exclusion `json:"exclusions,omitempty"`   // requirements left out by name
	Requirements []string    `json:"requirements,omitempty"` // addresses of those of which no unit is left
	Units        int         `json:"units"`                  // left out whole
	Narrowed     int         `json:"narrowed"`               // of which a part is left out
	Of           int         `json:"of"`                     // units in the selected requirements
	Because      string      `json:"because,omitempty"`
}

// None tells whether nothing was left out.
func (o Omitted) None() bool {
	return o.Taken == o.Total && len(o.Exclusions) == 0 && len(o.Requirements) == 0 && o.Units == 0 && o.Narrowed == 0
}

// Address is how waivers name a requirement: standard/id.
func (r Required) Address() string { return r.Standard.ID + "/" + r.ID }

// A CompiledCheck is a check with the profile's overrides, ready to be compared.
type CompiledCheck struct {
	Check
	When   Condition       // when it applies
	Step   string          // the step that asks its question; empty where the dossier alone is asked
	Params json.RawMessage // every parameter of the probe, defaults included

	words                map[string]string
	asks, needs          []string
	given, expect, about *expr.Program
	shows                map[string]*expr.Program // by feature: what shows that the product has it
}

// Required lists the selected requirements: standards in the profile's order,
// requirements in the standard's.
func (s *Set) Required() []Required { return s.required }

// Check returns a selected check by its id.
func (s *Set) Check(id string) (*CompiledCheck, bool) {
	c, ok := s.checks[id]
	return c, ok
}

// Checks lists the selected checks by id.
func (s *Set) Checks() []*CompiledCheck {
	out := make([]*CompiledCheck, 0, len(s.checks))
	for _, id := range slices.Sorted(maps.Keys(s.checks)) {
		out = append(out, s.checks[id])
	}
	return out
}

// Asks returns a probe's question, as it was when the set was made.
func (s *Set) Asks(probe string) string { return s.Schemas[probe].Asks }

// Files returns every file that the set was made from, byte for byte, and the schemas
// of the probes, by name. LoadPackage makes the same set of them.
func (s *Set) Files() map[string][]byte { return maps.Clone(s.files) }

// Fair tells whether the facts come from a fair test.
func (c *CompiledCheck) Fair(facts map[string]any, d Declared) (bool, error) {
	return c.given.Holds(facts, d.values())
}

// Good tells whether the device did what a good one does.
func (c *CompiledCheck) Good(facts map[string]any, d Declared) (bool, error) {
	return c.expect.Holds(facts, d.values())
}

// Speaks lists the features that an observation of the check may show, sorted.
func (c *CompiledCheck) Speaks() []string { return slices.Sorted(maps.Keys(c.shows)) }

// Shows tells whether the facts show that the product has a feature. A check that does not
// speak of it does not show it.
func (c *CompiledCheck) Shows(feature string, facts map[string]any, d Declared) (bool, error) {
	p, ok := c.shows[feature]
	if !ok {
		return false, nil
	}
	return p.Holds(facts, d.values())
}

// About lists what a failure is about, e.g. "tcp/2323 telnet"; nothing where the check does not say.
func (c *CompiledCheck) About(facts map[string]any, d Declared) ([]string, error) {
	if c.about == nil {
		return nil, nil
	}
	return c.about.Names(facts, d.values())
}

// Asks lists the facts that given and expect name, sorted.
func (c *CompiledCheck) Asks() []string { return c.asks }

// Needs lists the facts that the check cannot do without, sorted.
func (c *CompiledCheck) Needs() []string { return c.needs }

func names(programs ...*expr.Program) []string {
	var out []string
	for _, p := range programs {
		if p != nil {
			out = append(out, p.Refers()...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Words returns every parameter as text, by name.
func (c *CompiledCheck) Words() map[string]string { return c.words }

// A Condition says for which products something applies. The zero value applies to all.
type Condition struct {
	program *expr.Program
	names   []string
}

// Features lists the features that the condition names, sorted.
func (c Condition) Features() []string {
	if c.program == nil {
		return nil
	}
	return c.program.Refers()
}

// Holds tells whether the condition holds for a product that lacks what absent says,
// and has everything else.
func (c Condition) Holds(absent func(feature string) bool) bool {
	if c.program == nil {
		return true
	}
	features := make(map[string]any, len(c.names))
	for _, n := range c.names {
		features[n] = !absent(n)
	}
	holds, err := c.program.Bool(features)
	return holds || err != nil // what cannot be decided is asked
}

// A Wanted is one unit that wants a named person's answer.
type Wanted struct {
	Address     string // standard/case.unit
	Requirement Required
	Case        Case
	Unit        Unit
}

// Wanted lists the selected units that want a review, in order.
func (s *Set) Wanted() []Wanted {
	var out []Wanted
	for _, r := range s.required {
		for _, c := range r.Cases {
			for _, u := range c.Units {
				if u.Review != "" {
					out = append(out, Wanted{UnitAddress(r.Standard.ID, c.ID, u.ID), r, c, u})
				}
			}
		}
	}
	return out
}

// UnitAddress is how reviews name a unit: standard/case.unit.
func UnitAddress(standard, testCase, unit string) string {
	return standard + "/" + testCase + "." + unit
}
