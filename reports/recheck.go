package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read the recorded verdicts: %w", err)
	}
	r.all = b
	return r, nil
}

// Attested reads the statement of conformity as it was recorded, without recomputing it.
func Attested(ev *evidence.Evidence) (verdict.Conformity, error) {
	r, err := recorded(ev)
	return r.Conformity, err
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

// maxTold is how many differences are told in one sentence.
const maxTold = 8

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
	if err := json.Unmarshal(recorded.all, &r); err != nil {
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
	case errors.Is(err, evidence.ErrWithheld) || ev.Redacted && err == nil:
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

// differs lists what two judges see otherwise: the statement, and the verdict of each requirement, unit and check.
func differs(recorded, own *verdict.Result) []string {
	var out []string
	if recorded.Conformity != own.Conformity {
		out = append(out, fmt.Sprintf("%s on record, %s by this judge", orNone(recorded.Conformity), own.Conformity))
	}
	then, now := words(recorded), words(own)
	for id, v := range now {
		if then[id] != v {
			out = append(out, fmt.Sprintf("%s: %s on record, %s by this judge", id, orNone(then[id]), v))
		}
	}
	for id, v := range then {
		if _, ok := now[id]; !ok {
			out = append(out, fmt.Sprintf("%s: %s on record, nothing by this judge", id, v))
		}
	}
	slices.Sort(out)
	return out
}

// words are a result's verdicts by what they are of.
func words(r *verdict.Result) map[string]verdict.Verdict {
	out := map[string]verdict.Verdict{}
	for _, q := range r.Requirements {
		id := q.Standard + " " + q.ID
		out[id] = q.Verdict
		if q.Waived {
			out[id] += ", waived"
		}
		for _, c := range q.Cases {
			out[id+", "+c.ID] = c.Verdict
			for _, u := range c.Units {
				out[id+", "+c.ID+"."+u.ID] = u.Verdict
			}
		}
		for _, c := range q.Checks {
			out[id+", "+c.ID] = c.Verdict
		}
	}
	return out
}

func orNone[T ~string](v T) T {
	if v == "" {
		return "nothing"
	}
	return v
}
