// Package reports turns a record into a Report: the judge's verdicts beside what was
// asked, seen and expected, in the shape that every face prints. It never adds a
// verdict of its own and never changes the record.
package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"assay/lab"
	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
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
	Lab      *lab.Laboratory  `json:"laboratory,omitempty"`
	Received string           `json:"received,omitempty"`  // the day on which the unit came to the laboratory
	State    string           `json:"condition,omitempty"` // of the unit as it came
	Started  time.Time        `json:"started"`
	Ended    *time.Time       `json:"ended,omitempty"`
	Outcome  lab.Outcome      `json:"outcome,omitempty"`
	Sealed   bool             `json:"sealed"`
	Through  *Through         `json:"amended_through,omitempty"` // nil: not sealed
	Key      string           `json:"key"`
	Note     string           `json:"note,omitempty"`
	Bench    json.RawMessage  `json:"bench,omitempty"`
	Frames   uint64           `json:"frames"`
	Dropped  uint64           `json:"dropped"`
	Withheld []string         `json:"withheld,omitempty"` // of a redacted copy: what the verdicts do not need

	Judge *OtherJudge `json:"judge,omitempty"` // nil: the verdicts on record are this judge's, or there are none

	Gaps         []lab.Gap            `json:"gaps,omitempty"`
	SelfTests    []lab.Proof          `json:"selftests,omitempty"` // of the bench, with a known-good device
	Observations []probes.Observation `json:"observations"`

	Dossier   *dossier.Dossier    `json:"-"` // what the maker declares, secrets withheld; nil: not at hand
	Head      string              `json:"-"` // hex SHA-256 of the journal's last line, which the chain of lines makes stand for all of them
	Artefacts []evidence.Artefact `json:"-"` // files of the record, by digest

	set *profiles.Set
	ev  *evidence.Evidence

	captures []lab.Captured
}

// Device is what was certified.
type Device struct {
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Firmware     string `json:"firmware"`
}

// Build judges a record by its own profile and gathers what the faces show.
func Build(ev *evidence.Evidence) (*Report, error) {
	r, err := build(ev, func(*lab.Inputs) {})
	if err != nil {
		return nil, err
	}
	if o, recorded := otherJudge(ev); o != nil {
		o.compare(recorded, &r.Profiles[0])
		r.Judge = o
	}
	return r, nil
}

// Rejudge judges a record by another profile: a corrected one, or one that did not
// exist on the day. A question that nobody put then is inconclusive; reviews that were made since may
// answer those that want a person.
func Rejudge(ev *evidence.Evidence, set *profiles.Set, reviews *review.File) (*Report, error) {
	return build(ev, func(in *lab.Inputs) {
		in.Set = set
		if reviews != nil {
			in.Reviews = append(in.Reviews, reviews.Reviews...)
		}
	})
}

// JudgeAll judges a record by several profiles.
func JudgeAll(ev *evidence.Evidence, sets []*profiles.Set, reviews *review.File) ([]*verdict.Result, error) {
	if err := judgeable(ev); err != nil {
		return nil, err
	}
	in, err := Inputs(ev)
	if err != nil {
		return nil, err
	}
	if reviews != nil {
		in.Reviews = append(in.Reviews, reviews.Reviews...)
	}
	var out []*verdict.Result
	for _, set := range sets {
		in.Set = set
		r, err := judge(in)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// judgeable refuses a redacted copy that withholds what its verdicts are made of: without what failed, or what came out
// otherwise when it was asked again, the rest could look better than the run was.
func judgeable(ev *evidence.Evidence) error {
	if ev.Redacted {
		if err := Recheck(ev); errors.Is(err, ErrAttested) {
			return err
		}
	}
	return nil
}

func build(ev *evidence.Evidence, change func(*lab.Inputs)) (*Report, error) {
	if err := judgeable(ev); err != nil {
		return nil, err
	}
	in, err := Inputs(ev)
	if err != nil {
		return nil, err
	}
	change(in)
	result, err := judge(in)
	if err != nil {
		return nil, err
	}
	b := in.Begin
	r := &Report{
		Run:      b.Run,
		Device:   Device{b.Product.Manufacturer, b.Product.Model, b.Product.Firmware},
		Profiles: []verdict.Result{*result},
		Unit:     b.Unit, Units: b.Units, Tool: b.Tool, Operator: b.Operator, Lab: b.Lab, Received: b.Received, State: b.State, Key: b.Key, Note: b.Note,
		Started: in.Started, Sealed: ev.Sealed, Bench: in.Bench, Observations: in.Observations, Gaps: in.Gaps, SelfTests: in.SelfTests,
		Dossier: in.Dossier, Head: head(ev), Artefacts: ev.Artefacts,
		Through: ThroughOf(ev), Withheld: ev.Withheld, set: in.Set, ev: ev, captures: in.Captures,
	}
	if in.End != nil {
		r.Ended, r.Outcome, r.Frames, r.Dropped = &in.Ended, in.End.Outcome, in.End.Frames, in.End.Dropped
	}
	for _, c := range in.Captures {
		if in.End != nil && c.File == in.End.Capture {
			continue // the end says it, too
		}
		r.Frames, r.Dropped = r.Frames+c.Frames, r.Dropped+c.Dropped
	}
	for _, g := range in.Gaps {
		if g.Key != "" {
			r.Key = g.Key // whoever goes on seals
		}
	}
	return r, nil
}

func head(ev *evidence.Evidence) string {
	if len(ev.Records) == 0 {
		return ""
	}
	return ev.Records[len(ev.Records)-1].Digest
}

// Specimens are the units that were tested: one, or several.
func (r *Report) Specimens() []lab.Unit {
	if len(r.Units) > 0 {
		return r.Units
	}
	return []lab.Unit{r.Unit}
}

// judge is Judge over a record, on the day the run began, or the day of the latest review where
// that is later: waivers and reviews are asked whether they were valid then, so that the same record
// always gives the same bytes.
func judge(in *lab.Inputs) (*verdict.Result, error) {
	on := in.Started
	for _, r := range in.Reviews {
		if day, _, err := r.Days(); err == nil && day.After(on) {
			on = day
		}
	}
	return verdict.Judge(in.Dossier, in.Set, verdict.Record{Observations: in.Observations, Reviews: in.Reviews, Units: in.Begin.Tested()}, on)
}

// Verdicts are the bytes that are recorded beside the observations and recomputed by
// whoever verifies them.
func Verdicts(ev *evidence.Evidence) ([]byte, error) {
	_, b, err := verdicts(ev)
	return b, err
}

func verdicts(ev *evidence.Evidence) (*verdict.Result, []byte, error) {
	in, err := Inputs(ev)
	if err != nil {
		return nil, nil, err
	}
	result, err := judge(in)
	if err != nil {
		return nil, nil, err
	}
	b, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("write down the verdicts: %w", err)
	}
	return result, append(b, '\n'), nil
}
