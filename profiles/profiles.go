// Package profiles holds what a lab runs, as data: profiles that choose from
// standards, standards whose requirements name checks, and checks that name a probe
// and say in CEL what a good device does. It loads strictly and compiles everything
// early; it never asks a device and never judges one.
package profiles

// A Profile is what a lab runs.
type Profile struct {
	Assay     string      `yaml:"assay" json:"assay"` // "profile/v1"
	ID        string      `yaml:"id" json:"id"`
	Version   string      `yaml:"version" json:"version"`
	Title     string      `yaml:"title" json:"title"`
	Standards []Selection `yaml:"standards" json:"standards"`
	With      []Override  `yaml:"with,omitempty" json:"with,omitempty"`
	Waivers   []Waiver    `yaml:"waivers,omitempty" json:"waivers,omitempty"`
}

// A Selection takes a standard, or some of its requirements.
type Selection struct {
	Standard     string   `yaml:"standard" json:"standard"`
	Requirements []string `yaml:"requirements,omitempty" json:"requirements,omitempty"` // none: the whole standard
}

// An Override changes parameters of one check, with a reason.
type Override struct {
	Check   string         `yaml:"check" json:"check"`
	With    map[string]any `yaml:"with" json:"with"`
	Because string         `yaml:"because" json:"because"`
}

// A Waiver accepts one failed requirement. It changes the conformity statement, never a verdict.
type Waiver struct {
	Requirement string `yaml:"requirement" json:"requirement"` // standard/id
	Approver    string `yaml:"approver" json:"approver"`
	Reason      string `yaml:"reason" json:"reason"`
	Risk        string `yaml:"risk" json:"risk"`
	Expires     string `yaml:"expires" json:"expires"` // 2027-01-31, last day included
	Profile     string `yaml:"profile" json:"profile"` // the profile version it was written for
}

// A Standard is requirements with the standard's own ids; titles are our words.
type Standard struct {
	Assay        string        `yaml:"assay" json:"assay"` // "standard/v1"
	ID           string        `yaml:"id" json:"id"`
	Title        string        `yaml:"title" json:"title"`
	Edition      string        `yaml:"edition" json:"edition"`
	Note         string        `yaml:"note,omitempty" json:"note,omitempty"`
	Requirements []Requirement `yaml:"requirements" json:"requirements"`
}

// A Requirement is one provision and the checks that answer it.
type Requirement struct {
	ID        string   `yaml:"id" json:"id"`
	Title     string   `yaml:"title" json:"title"`
	Level     string   `yaml:"level" json:"level"`                             // mandatory or recommended
	Status    string   `yaml:"status,omitempty" json:"status,omitempty"`       // the standard's own code, e.g. "M F (a)"
	Condition string   `yaml:"condition,omitempty" json:"condition,omitempty"` // in words
	Applies   string   `yaml:"applies,omitempty" json:"applies,omitempty"`     // CEL over features, e.g. features.passwords
	Certainty string   `yaml:"certainty,omitempty" json:"certainty,omitempty"` // verified or recalled
	Cases     []string `yaml:"cases,omitempty" json:"cases,omitempty"`         // test cases of the test specification
	Checks    []string `yaml:"checks" json:"checks"`
}

// A Check names a probe, its parameters, and what a good device does. Its CEL, but for applies,
// compares facts, what was seen, with dossier, what was declared (see Declared).
type Check struct {
	ID          string         `yaml:"id" json:"id"`
	Probe       string         `yaml:"probe" json:"probe"`
	With        map[string]any `yaml:"with,omitempty" json:"with,omitempty"`
	Applies     string         `yaml:"applies,omitempty" json:"applies,omitempty"` // CEL over features
	Given       string         `yaml:"given" json:"given"`                         // CEL: was it a fair test?
	Unfair      string         `yaml:"unfair,omitempty" json:"unfair,omitempty"`   // what to say and do when given is unmet
	Expect      string         `yaml:"expect" json:"expect"`                       // CEL: what a good device does
	Otherwise   string         `yaml:"otherwise" json:"otherwise"`
	Names       string         `yaml:"names,omitempty" json:"names,omitempty"` // CEL: what a failure is about, a list of text
	Remedy      string         `yaml:"remedy" json:"remedy"`
	Row         string         `yaml:"row,omitempty" json:"row,omitempty"`                 // IXIT table it compares, e.g. 7-UpdMech
	Contradicts string         `yaml:"contradicts,omitempty" json:"contradicts,omitempty"` // CEL: the observation shows that a denied feature exists
	Feature     string         `yaml:"feature,omitempty" json:"feature,omitempty"`         // the feature that Contradicts speaks of
}
