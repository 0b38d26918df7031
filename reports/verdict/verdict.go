// Package verdict judges: dossier, profile and observations in, verdicts out, the same
// bytes every time, offline and years later. It never asks a device and never reads
// anything but its arguments.
package verdict

import (
	"encoding/json"

	"assay/profiles"
)

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
	ID           string        `json:"id"`
	Version      string        `json:"version"`
	Title        string        `json:"title"`
	Judged       string        `json:"judged"` // the day that decides on waivers, e.g. 2026-11-23
	Conformity   Conformity    `json:"conformity"`
	Reason       string        `json:"reason"`
	Requirements []Requirement `json:"requirements"`
	Waivers      []Waiver      `json:"waivers,omitempty"`
}

// A Requirement is one provision's verdict.
type Requirement struct {
	ID        string   `json:"id"`
	Standard  string   `json:"standard"`
	Edition   string   `json:"edition"`
	Title     string   `json:"title"`
	Level     string   `json:"level"`
	Status    string   `json:"status,omitempty"`
	Condition string   `json:"condition,omitempty"`
	Cases     []string `json:"cases,omitempty"`
	Verdict   Verdict  `json:"verdict"`
	Reason    string   `json:"reason"`
	Waived    bool     `json:"waived,omitempty"`
	Checks    []Check  `json:"checks"`
}

// A Check is one check's verdict and what it rests on.
type Check struct {
	ID          string          `json:"id"`
	Verdict     Verdict         `json:"verdict"`
	Reason      string          `json:"reason"`
	Observation string          `json:"observation,omitempty"` // id of the one that decided
	Step        string          `json:"step"`
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
