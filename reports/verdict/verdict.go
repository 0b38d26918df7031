// Package verdict judges: dossier, profile and observations in, verdicts out, the same
// bytes every time, offline and years later. It never asks a device and never reads
// anything but its arguments.
package verdict

import (
	"encoding/json"

	"assay/probes"
	"assay/profiles"
	"assay/profiles/review"
)

// Edition tells the judges that this program has been from each other. It rises with whatever makes the same record
// come to other bytes, be it a word of a reason, or makes a record unreadable that was not. Verdicts that name none are
// older than the first.
const Edition = 1

// A Record is what is judged: what probes saw and what named persons answered.
type Record struct {
	Observations []probes.Observation
	Reviews      []review.Review
	Units        []string // each step was to be asked of, where there are several; nil: of whichever there are
}

// Verdict is what a check or a requirement comes to.
type Verdict string

// The four verdicts.
const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	Inconclusive  Verdict = "inconclusive"
	NotApplicable Verdict = "not-applicable"
)

// Conformity is the statement over a profile's whole required set.
type Conformity string

// The four statements.
const (
	Conformant            Conformity = "conformant"
	ConformantWithWaivers Conformity = "conformant with waivers"
	NonConformant         Conformity = "non-conformant"
	Incomplete            Conformity = "incomplete"
)

// A Result is one profile's verdicts on one run. Its JSON is the element of `profiles` in the report.
type Result struct {
	Edition      int              `json:"judge"` // of the judge; other bytes of the same edition are another's work
	ID           string           `json:"id"`
	Version      string           `json:"version"`
	Title        string           `json:"title"`
	Judged       string           `json:"judged"` // the day that decides on waivers, e.g. 2026-11-23
	Conformity   Conformity       `json:"conformity"`
	Reason       string           `json:"reason"`
	Omitted      profiles.Omitted `json:"omitted"` // what the profile leaves out of its standards
	Standards    []Standard       `json:"standards"`
	Requirements []Requirement    `json:"requirements"`
	Waivers      []Waiver         `json:"waivers,omitempty"`
}

// A Standard is what a reader must know of one of the profile's standards: its edition, what limits
// the use of its verdicts, and what was true of it on which day.
type Standard struct {
	ID           string                 `json:"id"`
	Title        string                 `json:"title"`
	Edition      string                 `json:"edition"`
	Tests        string                 `json:"tests,omitempty"`
	Restrictions []profiles.Restriction `json:"restrictions,omitempty"` // those that touch the whole standard
	Register     []profiles.DatedFact   `json:"register,omitempty"`
}

// A Requirement is one provision's verdict.
type Requirement struct {
	ID           string                 `json:"id"`
	Standard     string                 `json:"standard"`
	Edition      string                 `json:"edition"`
	Title        string                 `json:"title"`
	Level        string                 `json:"level"`
	Status       string                 `json:"status,omitempty"`
	Condition    string                 `json:"condition,omitempty"`
	Certainty    string                 `json:"certainty"` // recalled: hold id and level against the standard's own text
	Restrictions []profiles.Restriction `json:"restrictions,omitempty"`
	Verdict      Verdict                `json:"verdict"`
	Reason       string                 `json:"reason"`
	Waived       bool                   `json:"waived,omitempty"`
	Cases        []Case                 `json:"cases,omitempty"`
	Checks       []Check                `json:"checks"`
}

// A Case is one test case or assessment.
type Case struct {
	ID      string  `json:"id"`
	Kind    string  `json:"kind"`
	Needs   string  `json:"needs,omitempty"`
	Verdict Verdict `json:"verdict"`
	Units   []Unit  `json:"units"`
}

// A Unit is the smallest question: what checks and a reviewer say of it.
type Unit struct {
	ID       string   `json:"id"`
	Asks     string   `json:"asks"`
	Category string   `json:"category,omitempty"`
	Verdict  Verdict  `json:"verdict"`
	Reason   string   `json:"reason"`
	Checks   []string `json:"checks,omitempty"` // ids; the requirement has what they came to
	Review   *Review  `json:"review,omitempty"`
}

// A Review is what became of the question to a named person.
type Review struct {
	Wants   profiles.Class `json:"wants"` // what the answer must rest on
	Verdict Verdict        `json:"verdict"`
	Reason  string         `json:"reason"`
	Said    *review.Review `json:"said,omitempty"` // nil: nobody answered
}

// A Check is one check's verdict and what it rests on.
type Check struct {
	ID          string          `json:"id"`
	Evidence    profiles.Class  `json:"evidence"`
	Verdict     Verdict         `json:"verdict"`
	Reason      string          `json:"reason"`
	Observation string          `json:"observation,omitempty"` // id of the one that decided
	Step        string          `json:"step,omitempty"`
	Given       string          `json:"given,omitempty"`
	Expect      string          `json:"expect,omitempty"`
	Facts       json.RawMessage `json:"facts,omitempty"` // those that given and expect ask about
	Rows        []string        `json:"rows,omitempty"`  // declaration rows it compares, e.g. 7-UpdMech/UpdMech-1
	Remedy      string          `json:"remedy,omitempty"`
}

// A Waiver is what became of one of the profile's waivers.
type Waiver struct {
	profiles.Waiver
	Counts bool   `json:"counts"`
	Reason string `json:"verdict_reason"`
}
