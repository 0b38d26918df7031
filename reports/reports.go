// Package reports turns a record into a Report: the judge's verdicts beside what was
// asked, seen and expected, in the shape that every face prints. It never adds a
// verdict of its own and never changes the record.
package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"assay/lab"
	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles"
	"assay/reports/verdict"
)

// A Report is one run, judged. Its JSON is the outer contract.
type Report struct {
	Run      string           `json:"run"`
	Device   Device           `json:"device"`
	Profiles []verdict.Result `json:"profiles"`
	Unit     lab.Unit         `json:"unit"`
	Units    []lab.Unit       `json:"units,omitempty"` // where several were tested; Unit is the first
	Tool     lab.Tool         `json:"tool"`
	Operator string           `json:"operator,omitempty"`
	Started  time.Time        `json:"started"`
	Ended    *time.Time       `json:"ended,omitempty"`
	Outcome  lab.Outcome      `json:"outcome,omitempty"`
	Sealed   bool             `json:"sealed"`
	Key      string           `json:"key"`
	Note     string           `json:"note,omitempty"`
	Bench    json.RawMessage  `json:"bench,omitempty"`
	Frames   uint64           `json:"frames"`
	Dropped  uint64           `json:"dropped"`

	Observations []probes.Observation `json:"observations"`

	set *profiles.Set
	ev  *evidence.Evidence
}

// Device is what was certified.
type Device struct {
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Firmware     string `json:"firmware"`
}

// Build judges a record by its own profile and gathers what the faces show.
func Build(ev *evidence.Evidence) (*Report, error) { return build(ev, nil) }

// Rejudge judges a record by another profile: a corrected one, or one that did not
// exist on the day. A question that nobody put then is inconclusive.
func Rejudge(ev *evidence.Evidence, set *profiles.Set) (*Report, error) { return build(ev, set) }

func build(ev *evidence.Evidence, other *profiles.Set) (*Report, error) {
	in, err := lab.Read(ev)
	if err != nil {
		return nil, err
	}
	if other != nil {
		in.Set = other
	}
	result, err := judge(in)
	if err != nil {
		return nil, err
	}
	b := in.Begin
	r := &Report{
		Run:      b.Run,
		Device:   Device{b.Product.Manufacturer, b.Product.Model, b.Product.Firmware},
		Profiles: []verdict.Result{*result},
		Unit:     b.Unit, Units: b.Units, Tool: b.Tool, Operator: b.Operator, Key: b.Key, Note: b.Note,
		Started: in.Started, Sealed: ev.Sealed, Bench: in.Bench, Observations: in.Observations,
		set: in.Set, ev: ev,
	}
	if in.End != nil {
		r.Ended, r.Outcome, r.Frames, r.Dropped = &in.Ended, in.End.Outcome, in.End.Frames, in.End.Dropped
	}
	return r, nil
}

// judge is Judge over a record, on the day the run began: waivers are asked whether
// they were valid then, so that the same record always gives the same bytes.
func judge(in *lab.Inputs) (*verdict.Result, error) {
	return verdict.JudgeUnits(in.Dossier, in.Set, in.Observations, in.Begin.Tested(), in.Started)
}

// Verdicts are the bytes that are recorded beside the observations and recomputed by
// whoever verifies them.
func Verdicts(ev *evidence.Evidence) ([]byte, error) {
	in, err := lab.Read(ev)
	if err != nil {
		return nil, err
	}
	result, err := judge(in)
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write down the verdicts: %w", err)
	}
	return append(b, '\n'), nil
}

// Recheck recomputes every verdict from the observations and compares the bytes with
// the recorded ones. A record that never came to its end has none to compare.
func Recheck(ev *evidence.Evidence) error {
	recorded, err := lab.Artefact(ev, lab.FileVerdicts)
	if err != nil {
		if !ev.Sealed {
			return nil
		}
		return &evidence.Broken{What: "verdicts", Where: lab.FileVerdicts, Why: "the sealed record holds no verdicts"}
	}
	again, err := Verdicts(ev)
	if err != nil {
		return &evidence.Broken{What: "verdicts", Where: lab.FileVerdicts, Why: err.Error()}
	}
	if !bytes.Equal(recorded, again) {
		return &evidence.Broken{What: "verdicts", Where: lab.FileVerdicts, Why: "judging the observations again gives other verdicts"}
	}
	return nil
}
