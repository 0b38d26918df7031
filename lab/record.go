package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"
	"assay/profiles/review"
)

// Names of artefacts in the record.
const (
	FileDossier  = "dossier.yaml"   // as used, secrets withheld
	FileProfile  = "profile/"       // prefix: profile, standards, checks and schemas as used
	FileCapture  = "capture.pcapng" // every frame of the run
	FileReviews  = "reviews/"       // prefix: what reviewers cite of their own, by digest
	FileVerdicts = "verdicts.json"  // as judged on the day; anybody recomputes it
)

// maxInput bounds what is read back of a dossier or a profile file, maxPackage all files of a profile.
const (
	maxInput   = 16 << 20
	maxPackage = 64 << 20
)

// Begin tells who tests what with which tool.
type Begin struct {
	Run      string          `json:"run"`
	Tool     Tool            `json:"tool"`
	Operator string          `json:"operator,omitempty"`
	Lab      *Laboratory     `json:"laboratory,omitempty"`
	Received string          `json:"received,omitempty"`  // the day on which the unit came to the laboratory: 2026-11-25
	State    string          `json:"condition,omitempty"` // of the unit as it came, in the operator's words
	Product  dossier.Product `json:"product"`
	Unit     Unit            `json:"unit"`
	Units    []Unit          `json:"units,omitempty"` // where several are tested; Unit is the first
	Profile  string          `json:"profile"`
	Edition  string          `json:"profile_version"`
	Key      string          `json:"key"`            // how the evidence is signed, e.g. "ephemeral"
	Note     string          `json:"note,omitempty"` // e.g. the flaws of a reference device
}

// Tested lists the ids of the units where there are several, each of which every step is asked of; nil where there is one.
func (b Begin) Tested() []string {
	var ids []string
	for _, u := range b.Units {
		ids = append(ids, u.ID)
	}
	return ids
}

// Laboratory is who tests.
type Laboratory struct {
	Name          string `json:"name" yaml:"name"`
	Address       string `json:"address,omitempty" yaml:"address"`
	Accreditation string `json:"accreditation,omitempty" yaml:"accreditation"` // body and number, as the laboratory may state it
}

// Tool is this program as it ran.
type Tool struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	SHA256  string `json:"sha256"` // of the executable
}

// Unit is the specimen, as its label says.
type Unit struct {
	ID     string `json:"id"`
	Serial string `json:"serial,omitempty"`
	MAC    string `json:"mac,omitempty"`
}

// End closes the record.
type End struct {
	Outcome      Outcome `json:"outcome"`
	Observations int     `json:"observations"`
	Capture      string  `json:"capture,omitempty"`
	Frames       uint64  `json:"frames"`
	Dropped      uint64  `json:"dropped"`
}

// Open begins a record: who, with what, by which dossier, profile and plan. What the
// judge will need is inside from the first moment.
func Open(j *evidence.Journal, b Begin, d *dossier.Dossier, set *profiles.Set, reviews *review.File, bench any, p *plan.Plan) error {
	if _, err := j.Append(evidence.KindBegin, b); err != nil {
		return fmt.Errorf("begin the record: %w", err)
	}
	if _, err := j.AddBytes(FileDossier, "application/yaml", d.Redacted()); err != nil {
		return fmt.Errorf("record the dossier: %w", err)
	}
	files := set.Files()
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if _, err := j.AddBytes(FileProfile+name, "application/octet-stream", files[name]); err != nil {
			return fmt.Errorf("record profile file %s: %w", name, err)
		}
	}
	if _, err := j.Append(evidence.KindBench, bench); err != nil {
		return fmt.Errorf("record the bench: %w", err)
	}
	if err := addReviews(j, reviews); err != nil {
		return err
	}
	// The plan is last: a record that has it has everything that the questions and the judge need.
	if _, err := j.Append(evidence.KindPlan, p); err != nil {
		return fmt.Errorf("record the plan: %w", err)
	}
	return nil
}

// addReviews records what named persons answered before the run, and the files that they cite.
func addReviews(j *evidence.Journal, f *review.File) error {
	if f == nil {
		return nil
	}
	kept := map[string]bool{}
	for _, r := range f.Reviews {
		if _, err := j.Append(evidence.KindReview, r); err != nil {
			return fmt.Errorf("record the review of %s: %w", strings.Join(r.Units, ", "), err)
		}
		for _, e := range r.Evidence {
			if e.File == "" || kept[e.SHA256] {
				continue
			}
			kept[e.SHA256] = true
			a, err := j.AddFile(FileReviews+e.SHA256[:16]+strings.ToLower(filepath.Ext(e.File)), "application/octet-stream", f.Path(e))
			if err != nil {
				return fmt.Errorf("record %s: %w", e.File, err)
			}
			if a.SHA256 != e.SHA256 {
				return fmt.Errorf("record %s: it has changed since the reviews were read", e.File)
			}
		}
	}
	return nil
}

// Inputs are what verdicts are made of, read back from a record.
type Inputs struct {
	Begin        Begin
	Started      time.Time
	Dossier      *dossier.Dossier
	Set          *profiles.Set
	Plan         *plan.Plan
	Observations []probes.Observation
	Reviews      []review.Review
	End          *End // nil: the run never came to its end
	Ended        time.Time
	Bench        json.RawMessage
	Gaps         []Gap
	SelfTests    []Proof
	Captures     []Captured // that were closed, or that interruptions ended
}

// Begun reads the first record alone.
func Begun(ev *evidence.Evidence) (Begin, error) {
	var b Begin
	if len(ev.Records) == 0 {
		return b, errors.New("read the first record: there is none")
	}
	if err := ev.Records[0].Decode(&b); err != nil {
		return b, fmt.Errorf("read record 1: %w", err)
	}
	return b, nil
}

// Read gets the judge's inputs back from a record.
func Read(ev *evidence.Evidence) (*Inputs, error) {
	in := &Inputs{}
	if err := in.records(ev); err != nil {
		return nil, err
	}
	raw, err := Artefact(ev, FileDossier)
	if err != nil {
		return nil, err
	}
	if in.Dossier, err = dossier.ParseRecorded(FileDossier, raw); err != nil {
		return nil, fmt.Errorf("read the recorded dossier: %w", err)
	}
	files, total := map[string][]byte{}, int64(0)
	for _, a := range ev.Artefacts {
		if name, ok := strings.CutPrefix(a.Name, FileProfile); ok {
			// One file may be on record under any number of names.
			if total += a.Size; total > maxPackage {
				return nil, fmt.Errorf("read the recorded profile: its files have more than %d bytes together", maxPackage)
			}
			if files[name], err = Artefact(ev, a.Name); err != nil {
				return nil, err
			}
		}
	}
	if in.Set, err = profiles.LoadPackage(files); err != nil {
		return nil, fmt.Errorf("read the recorded profile: %w", err)
	}
	return in, nil
}

// records reads what is in the records themselves. An observation that no sound test of the bench vouches for is the bench's
// error from here on, whatever it said when it was made.
func (in *Inputs) records(ev *evidence.Evidence) error {
	var vouched vouching
	for _, r := range ev.Records {
		var into any
		switch r.Kind {
		case evidence.KindBegin:
			into, in.Started = &in.Begin, r.Time
		case evidence.KindBench:
			into = &in.Bench
		case evidence.KindPlan:
			in.Plan = &plan.Plan{}
			into = in.Plan
		case evidence.KindReview:
			in.Reviews = append(in.Reviews, review.Review{})
			into = &in.Reviews[len(in.Reviews)-1]
		case evidence.KindObservation:
			vouched.observation()
			continue
		case evidence.KindSelfTest:
			in.SelfTests = append(in.SelfTests, Proof{Record: r.Seq, Time: r.Time})
			into = &in.SelfTests[len(in.SelfTests)-1].SelfTest
		case evidence.KindGap:
			in.Gaps = append(in.Gaps, Gap{})
			into = &in.Gaps[len(in.Gaps)-1]
		case evidence.KindCapture:
			in.Captures = append(in.Captures, Captured{})
			into = &in.Captures[len(in.Captures)-1]
		case evidence.KindEnd:
			in.End, in.Ended = &End{}, r.Time
			into = in.End
		default:
			continue
		}
		if err := r.Decode(into); err != nil {
			return fmt.Errorf("read record %d: %w", r.Seq, err)
		}
		if r.Kind == evidence.KindSelfTest {
			vouched.test(in.SelfTests[len(in.SelfTests)-1].SelfTest)
		}
	}
	var err error
	if in.Observations, err = ev.Observations(); err != nil {
		return err
	}
	vouched.apply(in.Observations, in.SelfTests)
	return nil
}

// Artefact reads one small artefact of a record.
func Artefact(ev *evidence.Evidence, name string) ([]byte, error) {
	r, err := ev.Artefact(name)
	if err != nil {
		return nil, fmt.Errorf("find %s in the record: %w", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > maxInput {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, maxInput)
	}
	return b, nil
}
