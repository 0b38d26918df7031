package lab

import (
	"context"
	"fmt"
	"strings"
	"time"

	"assay/lab/evidence"
	"assay/probes"
)

// A Prover is a rig that can prove itself with a device of its own, which it knows to be good.
type Prover interface {
	// Prove does so once. What is wrong is in the answer, and so is why it could not be done.
	Prove(ctx context.Context) SelfTest
}

// A SelfTest is what a known-good device met on the bench: the record of kind selftest. Where it is not sound, nothing
// that was observed since the last one that is counts.
type SelfTest struct {
	When         string         `json:"when"`               // before, after: the run; or the observation's id after which
	Sound        bool           `json:"sound"`              // every answer is the one that was to be expected
	NotDone      string         `json:"not_done,omitempty"` // why there is none; it is not sound then, and says nothing against the bench
	Mend         string         `json:"mend,omitempty"`     // what would allow it, or what to look at
	Device       string         `json:"device,omitempty"`   // how the known-good device is plugged in
	MAC          string         `json:"mac,omitempty"`      // its own: no frame of it is the device's under test
	Address      string         `json:"address,omitempty"`  // leased to it
	Frames       *probes.Frames `json:"frames,omitempty"`   // among which its own are
	Others       uint64         `json:"others,omitempty"`   // where it is not sound: frames of the device under test among those, for one that floods its bench
	Milliseconds int64          `json:"milliseconds,omitempty"`
	Answers      []SelfAnswer   `json:"answers,omitempty"`
}

// A SelfAnswer is one thing that the known-good device did.
type SelfAnswer struct {
	Asked   string `json:"asked"` // e.g. name
	Want    string `json:"want,omitempty"`
	Got     string `json:"got,omitempty"`
	OK      bool   `json:"ok"`
	NotDone string `json:"not_done,omitempty"` // why this bench has nothing of the kind
}

// At tells when in the run it was: before the run, after the run, after o-012.
func (s SelfTest) At() string {
	switch s.When {
	case "before", "after":
		return s.When + " the run"
	}
	return "after " + s.When
}

// Wrong tells in one line what was not as expected; empty: nothing.
func (s SelfTest) Wrong() string {
	if s.Sound || s.NotDone != "" {
		return ""
	}
	var all []string
	for _, a := range s.Answers {
		if !a.OK && a.NotDone == "" {
			all = append(all, fmt.Sprintf("%s: want %s, got %s", a.Asked, a.Want, a.Got))
		}
	}
	if len(all) == 0 {
		return "it did not come to its end"
	}
	if s.Others > 0 {
		all = append(all, fmt.Sprintf("the device under test sent %d frames meanwhile", s.Others))
	}
	return strings.Join(all, "; ")
}

// String tells what came of it, for the story.
func (s SelfTest) String() string {
	switch {
	case s.NotDone != "":
		return "the bench is not tested with a known-good device: " + s.NotDone + ". To mend it: " + s.Mend
	case s.Sound:
		return fmt.Sprintf("the bench is sound: a known-good device met what was to be expected (%d ms)", s.Milliseconds)
	}
	return "the bench is not sound: " + s.Wrong()
}

// WentBad begins the error of each observation that no sound test of the bench vouches for, and is why nothing
// more is asked after one that is not sound.
const WentBad = "the bench failed its test with a known-good device"

// proveTime bounds one test.
const proveTime = 20 * time.Second

// An UnfitError is a bench that failed its test before the first question.
type UnfitError struct{ Test SelfTest }

// Error says what is wrong.
func (e *UnfitError) Error() string {
	return WentBad + " before the run: " + e.Test.Wrong()
}

// Hint says where to look.
func (e *UnfitError) Hint() string { return e.Test.Mend }

// Is tells the family.
func (e *UnfitError) Is(target error) bool { return target == probes.ErrBench } //nolint:errorlint // asked by errors.Is

// prove lets the rig prove itself and writes down what came of it; nil: it has nothing of the kind, or was stopped.
func (r *Run) prove(ctx context.Context, when string) (*SelfTest, error) {
	p, ok := r.Rig.(Prover)
	if !ok || ctx.Err() != nil {
		return nil, nil
	}
	within, cancel := context.WithTimeout(ctx, proveTime)
	defer cancel()
	t := p.Prove(within)
	if ctx.Err() != nil { // what was cut short says nothing about the bench
		return nil, nil
	}
	t.When = when
	if t.Frames != nil {
		t.Frames.File = r.Capture
	}
	if _, err := r.Journal.Append(evidence.KindSelfTest, t); err != nil {
		return nil, fmt.Errorf("record the bench's test of itself: %w", err)
	}
	if r.Proved != nil {
		r.Proved(t)
	}
	return &t, nil
}

// between proves the rig again where it is time, and tells whether it has gone bad.
func (r *Run) between(ctx context.Context, asked int, last string) (bad bool, err error) {
	if r.Every <= 0 || asked == 0 || asked%r.Every != 0 {
		return false, nil
	}
	t, err := r.prove(ctx, last)
	return t != nil && t.Wrong() != "", err
}

// A Proof is a test of the bench as it stands in a record, and what it takes back.
type Proof struct {
	SelfTest
	Record uint64    `json:"record"` // its number in the journal
	Time   time.Time `json:"time"`
	Voids  []string  `json:"voids,omitempty"` // observations that are the bench's error because of it, by id
}

// A vouching follows a record from one test of the bench to the next, and finds the observations that none vouches for.
type vouching struct {
	seen, since, tests int
	void               map[int]voided // by the observation's place
}

// voided is why an observation counts for nothing, and which test says so.
type voided struct {
	why string
	by  int
}

func (v *vouching) observation() { v.seen++ }

func (v *vouching) test(t SelfTest) {
	switch wrong := t.Wrong(); {
	case t.Sound:
		v.since = v.seen
	case t.NotDone == "":
		if v.void == nil {
			v.void = map[int]voided{}
		}
		for ; v.since < v.seen; v.since++ {
			v.void[v.since] = voided{WentBad + " " + t.At() + ", and this was observed since the last good one: " + wrong, v.tests}
		}
	}
	v.tests++
}

// apply makes each of those the bench's error, and notes it with the test. What was not asked, or was one already, stays.
func (v *vouching) apply(all []probes.Observation, tests []Proof) {
	for n := range all {
		if why, is := v.void[n]; is && all[n].NotAsked == "" && all[n].Error == "" {
			all[n].Facts, all[n].Alive, all[n].Error = nil, nil, why.why
			tests[why.by].Voids = append(tests[why.by].Voids, all[n].ID)
		}
	}
}
