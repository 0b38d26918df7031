package lab

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles/plan"
)

// What stands in observations of steps that an interruption or a person kept from an answer. A run that
// goes on asks those steps again, as their next attempt.
const (
	Interrupted = "the run was interrupted while this step was under way"
	Stopped     = "the run was cancelled before this step"
)

// Interruption is what a gap tells of a run that was ended by force and went on later. The other one that
// this program writes is evidence.TornTail.
const Interruption = "the run was interrupted"

// A Gap is time or bytes of which the record knows nothing. The last fields are those of an interruption:
// how the run went on.
type Gap struct {
	What   string    `json:"what"`
	From   time.Time `json:"from,omitzero"` // the last record before
	To     time.Time `json:"to,omitzero"`
	Bytes  int64     `json:"bytes,omitempty"`  // of a line that was never finished
	SHA256 string    `json:"sha256,omitempty"` // of those
	Kept   []byte    `json:"kept,omitempty"`   // those themselves, as far as they are kept

	UnderWay []UnderWay `json:"under_way,omitempty"`
	Tool     *Tool      `json:"tool,omitempty"`
	Operator string     `json:"operator,omitempty"`
	Key      string     `json:"key,omitempty"`     // how the evidence is signed
	Capture  string     `json:"capture,omitempty"` // where the frames are from here on
	Bench    any        `json:"bench,omitempty"`
	Changed  []string   `json:"changed,omitempty"` // what is not as it was when the run began
}

// UnderWay is a step that began and has no observation.
type UnderWay struct {
	Observation string    `json:"observation"`
	Step        string    `json:"step"`
	Attempt     int       `json:"attempt"`
	Unit        string    `json:"unit,omitempty"`
	Began       time.Time `json:"began"`
}

// observationID names an observation; the number is its step's in the plan, counted for each unit.
func observationID(number, attempt int) string {
	if attempt > 1 {
		return fmt.Sprintf("o-%03d-%d", number, attempt)
	}
	return fmt.Sprintf("o-%03d", number)
}

// Due tells whether a step is to be asked of a unit after what was observed earlier, and as which attempt.
func Due(step plan.Step, unit string, earlier []probes.Observation) (attempt int, due bool) {
	attempt, due = 1, true
	for _, o := range earlier {
		if o.Step == step.ID && (o.Unit == unit || o.Unit == "") && o.Attempt >= attempt {
			attempt = o.Attempt + 1
			due = o.Error == Interrupted || o.NotAsked == Stopped || strings.HasPrefix(o.Error+o.NotAsked, WentBad)
		}
	}
	return attempt, due
}

// lastSeen is when the last record before an interruption was written. What an attempt to go on that came to
// nothing has left does not count.
func lastSeen(ev *evidence.Evidence) time.Time {
	for _, r := range slices.Backward(ev.Records) {
		if r.Kind != evidence.KindGap && r.Kind != evidence.KindCapture && r.Kind != evidence.KindArtefact {
			return r.Time
		}
	}
	return time.Time{}
}

// stepsUnderWay lists the steps that began and have no observation.
func stepsUnderWay(ev *evidence.Evidence, observations []probes.Observation) ([]UnderWay, error) {
	seen := map[string]bool{}
	for _, o := range observations {
		seen[o.ID] = true
	}
	var list []UnderWay
	for _, r := range ev.Records {
		if r.Kind != evidence.KindStep {
			continue
		}
		var u UnderWay
		if err := r.Decode(&u); err != nil {
			return nil, fmt.Errorf("read record %d: %w", r.Seq, err)
		}
		if u.Began = r.Time; !seen[u.Observation] {
			list = append(list, u)
		}
	}
	return list, nil
}

// Interrupt writes down that a run was interrupted and now goes on: the gap, and an observation for each step
// that was under way, so that no attempt is missing. It returns all observations made so far.
func Interrupt(j *evidence.Journal, ev *evidence.Evidence, in *Inputs, g Gap) ([]probes.Observation, error) {
	var err error
	if g.UnderWay, err = stepsUnderWay(ev, in.Observations); err != nil {
		return nil, err
	}
	g.What, g.From = Interruption, lastSeen(ev)
	if _, err := j.Append(evidence.KindGap, g); err != nil {
		return nil, fmt.Errorf("record the interruption: %w", err)
	}
	all := slices.Clone(in.Observations)
	for _, u := range g.UnderWay {
		i := slices.IndexFunc(in.Plan.Steps, func(s plan.Step) bool { return s.ID == u.Step })
		if i < 0 {
			return nil, fmt.Errorf("record the interruption: step %s is not in the plan", u.Step)
		}
		step := in.Plan.Steps[i]
		o := probes.Observation{
			ID: u.Observation, Step: step.ID, Attempt: u.Attempt, Probe: step.Probe, Version: step.Version, With: step.With,
			Unit: cmp.Or(u.Unit, in.Begin.Unit.ID), Start: u.Began, End: g.From, Error: Interrupted,
		}
		if _, err := j.Append(evidence.KindObservation, o); err != nil {
			return nil, fmt.Errorf("record observation %s: %w", o.ID, err)
		}
		all = append(all, o)
	}
	return all, nil
}

// mediaCapture and mediaLog are the types of what a bench leaves in the run's folder.
const (
	mediaCapture = "application/x-pcapng"
	mediaLog     = "text/plain"
)

// KeepLeg takes into the record what a bench that was ended by force has left in the run's folder: its captures,
// with the frames that they hold, and what the device said. The files of the bench that is up now are excepted. A
// capture that lacks a frame which an observation cites is a *evidence.Broken.
func KeepLeg(j *evidence.Journal, ev *evidence.Evidence, in *Inputs, except ...string) error {
	files, err := os.ReadDir(j.Dir())
	if err != nil {
		return fmt.Errorf("find what the bench left: %w", err)
	}
	there, parts := map[string]bool{}, map[string][]string{}
	for _, f := range files {
		name, path := f.Name(), filepath.Join(j.Dir(), f.Name())
		frames, _ := filepath.Match("capture*.pcapng", name)
		log, _ := filepath.Match("device-*.log", name)
		if !log {
			log, _ = filepath.Match("console*.log", name)
		}
		whole := name
		if frames {
			whole = captureOf(name)
		}
		if !frames && !log || slices.Contains(except, filepath.Join(j.Dir(), whole)) {
			continue
		}
		there[name] = true
		if _, kept := ev.Find(name); !kept {
			media := mediaCapture
			if log {
				media = mediaLog
			}
			if _, err := j.AddFile(name, media, path); err != nil {
				return err
			}
		}
		if frames {
			parts[whole] = append(parts[whole], name)
		}
	}
	for _, whole := range slices.Sorted(maps.Keys(parts)) {
		list := parts[whole]
		// The folder is sorted by name; the first file, without a number, comes before those that follow it.
		slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
		if list[0] != whole {
			return &evidence.Broken{What: "completeness", Where: whole, Why: list[0] + " goes on with it, but it is not in the run's folder"}
		}
		if err := keepLeft(j, in, whole, list); err != nil {
			return err
		}
	}
	for _, o := range in.Observations {
		if o.Frames != nil && !there[o.Frames.File] {
			return &evidence.Broken{What: "completeness", Where: o.Frames.File, Why: "observation " + o.ID + " cites it, but it is not in the run's folder"}
		}
	}
	return nil
}

func unreadable(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}
