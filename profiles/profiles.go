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
	Extends   string      `yaml:"extends,omitempty" json:"extends,omitempty"`   // another profile, whose choices come first
	Evidence  []Class     `yaml:"evidence,omitempty" json:"evidence,omitempty"` // the classes it takes; none: all
	Reviews   string      `yaml:"reviews,omitempty" json:"reviews,omitempty"`   // all or none: whether named persons are asked
	Because   string      `yaml:"because,omitempty" json:"because,omitempty"`   // why evidence or reviews are left out
	Standards []Selection `yaml:"standards,omitempty" json:"standards,omitempty"`
	Without   []Exclusion `yaml:"without,omitempty" json:"without,omitempty"`
	With      []Override  `yaml:"with,omitempty" json:"with,omitempty"`
	Waivers   []Waiver    `yaml:"waivers,omitempty" json:"waivers,omitempty"`
	Approvals *Approvals  `yaml:"approvals,omitempty" json:"approvals,omitempty"` // who must sign off what a run says
}

// Approvals are the sign-offs that a run needs, by distinct persons with distinct keys, none of them its
// operator. They are told beside the conformity statement and never change a verdict.
type Approvals struct {
	Reviewer int `yaml:"reviewer,omitempty" json:"reviewer,omitempty"`
	Approver int `yaml:"approver,omitempty" json:"approver,omitempty"`
}

// mostApprovals bounds how many sign-offs of one role a profile may want.
const mostApprovals = 4

// What Reviews may be.
const (
	AllReviews = "all"
	NoReviews  = "none"
)

// A Selection takes a standard, some of its parts, or some of its requirements.
type Selection struct {
	Standard     string   `yaml:"standard" json:"standard"`
	Parts        []string `yaml:"parts,omitempty" json:"parts,omitempty"`
	Requirements []string `yaml:"requirements,omitempty" json:"requirements,omitempty"` // neither these nor parts: the whole standard
}

// An Exclusion leaves out one requirement that would be selected, or one check wherever it would be
// asked. It is told with every statement.
type Exclusion struct {
	Requirement string `yaml:"requirement,omitempty" json:"requirement,omitempty"` // standard/id
	Check       string `yaml:"check,omitempty" json:"check,omitempty"`
	Because     string `yaml:"because" json:"because"`
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

// A Class says what an answer rests on. Strings in evidence are API.
type Class string

const (
	Observation Class = "observation" // a probe saw it on the device
	Attestation Class = "attestation" // a named person did it or looked at it, and says what came of it
	Document    Class = "document"    // declarations and documents were read: by a named person, or by a check of what the dossier says
)

// Classes are all of them.
var Classes = []Class{Observation, Attestation, Document}
