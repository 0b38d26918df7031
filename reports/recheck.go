package reports

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/strictjson"
	"assay/lab"
	"assay/lab/evidence"
	"assay/reports/verdict"
)

// ErrAttested says that a redacted copy withholds what verdicts are made of: they are the lab's word, under
// its seal, and nobody can recompute them from this copy.
var ErrAttested = errors.New("the verdicts cannot be recomputed from what this copy holds")

// recordedVerdicts are what verdicts on record say of themselves in every edition.
type recordedVerdicts struct {
	Judge      int                `json:"judge"`
	Conformity verdict.Conformity `json:"conformity"`
	all        []byte
}

func recorded(ev *evidence.Evidence) (recordedVerdicts, error) {
	var r recordedVerdicts
	b, err := lab.Artefact(ev, lab.FileVerdicts)
	if err != nil {
		return r, err
	}
	// No two readers may see two statements in it.
	err = strictjson.Exact(b, maxDepth)
	if err == nil {
		err = strictjson.Unmarshal(b, &r)
	}
	if err != nil {
		return recordedVerdicts{}, fmt.Errorf("read the recorded verdicts: %w", err)
	}
	r.all = b
	return r, nil
}

// maxDepth is how deep verdicts are nested at most.
const maxDepth = 64

// Attested reads the statement of conformity as it was recorded, without recomputing it.
func Attested(ev *evidence.Evidence) (verdict.Conformity, error) {
	r, err := recorded(ev)
	switch r.Conformity {
	case verdict.Conformant, verdict.ConformantWithWaivers, verdict.NonConformant, verdict.Incomplete:
		return r.Conformity, err
	}
	return "", cmp.Or(err, fmt.Errorf("read the recorded verdicts: %.80q is no statement of conformity", r.Conformity))
}

// OtherJudge says that the verdicts on record are another edition's of the judge, and that this one cannot come to the
// same. The record is whole all the same: no byte of it changed since it was sealed.
type OtherJudge struct {
	Edition int      `json:"judge"` // which wrote the verdicts
	Own     int      `json:"own"`   // this program's
	Tool    lab.Tool `json:"tool"`  // that began the run
	Differs []string `json:"differs,omitempty"`
	Why     string   `json:"why,omitempty"` // it cannot be judged at all
}

func (o *OtherJudge) Error() string {
	what, more, _ := strings.Cut(o.Why, "\n")
	if more != "" {
		what = fmt.Sprintf("%s; and %d more", what, strings.Count(more, "\n")+1)
	}
	if o.Why == "" {
		what = few(o.Differs)
	}
	return fmt.Sprintf("the verdicts on record are of edition %d of the judge, this program has edition %d: %s", o.Edition, o.Own, what)
}

// maxTold is how many differences are told in one sentence, maxWord how long a word on record is told.
const (
	maxTold = 8
	maxWord = 200
)

func few(what []string) string {
	if n := len(what) - maxTold; n > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(what[:maxTold], "; "), n)
	}
	return strings.Join(what, "; ")
}

// otherJudge is nil where the verdicts on record are this judge's, or there are none.
func otherJudge(ev *evidence.Evidence) (*OtherJudge, recordedVerdicts) {
	r, err := recorded(ev)
	if err != nil || r.Judge == verdict.Edition {
		return nil, r
	}
	o := &OtherJudge{Edition: r.Judge, Own: verdict.Edition}
	if begin, err := lab.Begun(ev); err == nil {
		o.Tool = begin.Tool
	}
	return o, r
}

// compare notes what this judge sees otherwise than the verdicts on record.
func (o *OtherJudge) compare(recorded recordedVerdicts, own *verdict.Result) {
	var r verdict.Result
	if err := strictjson.Unmarshal(recorded.all, &r); err != nil {
		o.Differs = []string{"what is on record has another form: " + err.Error()}
		return
	}
	o.Differs = differs(&r, own)
}

// Inputs gets the judge's inputs back from a record. The error of a record that another edition of the judge could
// read is an *OtherJudge.
func Inputs(ev *evidence.Evidence) (*lab.Inputs, error) {
	in, err := lab.Read(ev)
	if err != nil && !errors.Is(err, evidence.ErrWithheld) {
		if o, _ := otherJudge(ev); o != nil {
			o.Why = err.Error()
			return nil, o
		}
	}
	return in, err
}

// Recheck recomputes every verdict from the observations and compares the bytes with
// the recorded ones. A record that never came to its end has none to compare. Of the verdicts of another edition of the
// judge only what they say is compared, not how they say it: an *OtherJudge where that differs.
func Recheck(ev *evidence.Evidence) error {
	b, err := lab.Artefact(ev, lab.FileVerdicts)
	if errors.Is(err, evidence.ErrWithheld) {
		return fmt.Errorf("%w: %w", ErrAttested, err)
	}
	if err != nil {
		if !ev.Sealed {
			return nil
		}
		return &evidence.Broken{What: "verdicts", Where: lab.FileVerdicts, Why: "the sealed record holds no verdicts"}
	}
	own, again, err := verdicts(ev)
	if err == nil && bytes.Equal(b, again) {
		return nil
	}
	other, then := otherJudge(ev)
	if err == nil && other != nil {
		if other.compare(then, own); len(other.Differs) == 0 {
			return nil
		}
	}
	var unreadable *OtherJudge
	switch {
	// Of files the judge needs the dossier and the profile: without one of them there is an error. Of records it may need any.
	case errors.Is(err, evidence.ErrWithheld) || withholdsRecords(ev) && err == nil:
		return fmt.Errorf("%w: %s withheld", ErrAttested, strings.Join(ev.Withheld, ", "))
	case errors.As(err, &unreadable):
		return unreadable
	case err != nil:
		return &evidence.Broken{What: "verdicts", Where: lab.FileVerdicts, Why: err.Error()}
	case other != nil:
		return other
	}
	return &evidence.Broken{What: "verdicts", Where: lab.FileVerdicts, Why: "judging the observations again gives other verdicts"}
}

func withholdsRecords(ev *evidence.Evidence) bool {
	return slices.ContainsFunc(ev.Records, func(r evidence.Record) bool { return r.Kind == evidence.KindWithheld })
}

// differs lists what two judges see otherwise: the profile and the statement; of each requirement, unit and check the
// verdict, how much it weighs and what it rests on.
func differs(recorded, own *verdict.Result) []string {
	var out []string
	tell := func(what string, then, now []string) {
		for n := range max(len(then), len(now)) {
			var a, b string
			if n < len(then) {
				a = then[n]
			}
			if n < len(now) {
				b = now[n]
			}
			if a != b {
				out = append(out, fmt.Sprintf("%s%s on record, %s by this judge", Clip(what, maxWord), Clip(orNone(a), maxWord), Clip(orNone(b), maxWord)))
			}
		}
	}
	tell("", []string{string(recorded.Conformity)}, []string{string(own.Conformity)})
	tell("judged on: ", []string{recorded.Judged}, []string{own.Judged})
	tell("profile: ", []string{recorded.ID + " " + recorded.Version}, []string{own.ID + " " + own.Version})
	then, now := words(recorded), words(own)
	for id := range now {
		tell(id+": ", then[id], now[id])
	}
	for id := range then {
		if _, ok := now[id]; !ok {
			tell(id+": ", then[id], nil)
		}
	}
	slices.Sort(out)
	return out
}

// words are a result's verdicts by what they are of. Something that is there twice has two.
func words(r *verdict.Result) map[string][]string {
	out := map[string][]string{}
	for _, s := range r.Standards {
		out["standard "+s.ID] = append(out["standard "+s.ID], "edition "+s.Edition)
	}
	for _, q := range r.Requirements {
		id := q.Standard + " " + q.ID
		is := string(q.Verdict) + " (" + q.Level + ", edition " + q.Edition + ")"
		if q.Waived {
			is += ", waived"
		}
		out[id] = append(out[id], is)
		for _, c := range q.Cases {
			unit := id + ", case " + c.ID
			out[unit] = append(out[unit], string(c.Verdict))
			for _, u := range c.Units {
				out[unit+"."+u.ID] = append(out[unit+"."+u.ID], string(u.Verdict))
			}
		}
		for _, c := range q.Checks {
			is := string(c.Verdict)
			if c.Observation != "" {
				is += " after " + c.Observation
			}
			out[id+", check "+c.ID] = append(out[id+", check "+c.ID], is)
		}
	}
	for _, w := range r.Waivers {
		id := "waiver of " + w.Requirement
		out[id] = append(out[id], fmt.Sprintf("counts: %v", w.Counts))
	}
	return out
}

func orNone(v string) string {
	if v == "" {
		return "nothing"
	}
	return v
}
