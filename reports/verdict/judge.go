package verdict

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// Judge compares what was seen with what is expected. on is the day that decides
// whether waivers have expired. The order of the observations does not matter.
//
// A record from which lines are missing never judges better than the whole one, as
// long as each step was answered once, which is how the runner asks; where a step was
// answered twice, the evidence's chain is what shows that the worse answer is missing.
//
// In a run of several units each step counts by the worst of all of them, and one that is not on record for a unit
// settles nothing.
func Judge(d *dossier.Dossier, set *profiles.Set, rec Record, on time.Time) (*Result, error) {
	if d == nil || set == nil {
		return nil, errors.New("judge: dossier and profile are both needed")
	}
	if len(set.Required()) == 0 {
		return nil, fmt.Errorf("judge profile %s: it selects nothing", set.Profile.ID)
	}
	j := &judge{
		several: len(rec.Units) > 1,
		d:       d, set: set, on: on.UTC().Truncate(24 * time.Hour), records: record(d, set, rec.Observations, rec.Units), reviews: reviewed(rec.Reviews),
		readings: map[string]reading{}, declares: map[string]profiles.Declared{}, checks: map[string]Check{},
	}
	j.look()
	res := &Result{
		Edition: Edition, ID: set.Profile.ID, Version: set.Profile.Version, Title: set.Profile.Title, Judged: on.UTC().Format(time.DateOnly),
		Omitted: set.Omitted, Standards: standards(set),
	}
	for _, r := range set.Required() {
		res.Requirements = append(res.Requirements, j.requirement(r))
	}
	conform(res, set.Profile, on)
	return res, nil
}

type judge struct {
	several  bool // units were tested: reasons name the one that they are about
	d        *dossier.Dossier
	set      *profiles.Set
	on       time.Time                    // the day
	reviews  map[string][]review.Review   // by unit
	checks   map[string]Check             // judged once, whoever names them
	records  map[string]*stepRecord       // by step
	readings map[string]reading           // by check: what its record says, whether it applies or not
	shown    map[string]sight             // features that were seen
	open     map[string]string            // features of which that is not settled, and why
	declares map[string]profiles.Declared // by unit
}

// A reading is what one check reads in one observation, or in its step's whole record.
type reading struct {
	verdict Verdict
	reason  string
	id      string // of the observation
	facts   map[string]any
	rows    []string // that declare what a failure is about
}

// A sight is an observation that shows a denied feature.
type sight struct{ check, observation string }

// worse orders verdicts; a reading replaces another only if it is worse.
func worse(a, b Verdict) bool { return severity(a) > severity(b) }

func severity(v Verdict) int {
	switch v {
	case Fail:
		return 3
	case Inconclusive:
		return 2
	case Pass:
		return 1
	default:
		return 0
	}
}

// look reads every check's record once, and notes of every feature that one speaks of whether
// the product was seen to have it: that is asked where the dossier denies it.
func (j *judge) look() {
	j.shown, j.open = map[string]sight{}, map[string]string{}
	for _, c := range j.set.Checks() {
		if c.Step == "" {
			j.readings[c.ID] = j.declare(c)
			continue
		}
		rec := j.records[c.Step]
		j.readings[c.ID] = j.read(c, rec)
		for _, f := range c.Speaks() {
			id, seen, why := j.shows(c, f, rec)
			if _, already := j.shown[f]; seen && !already {
				j.shown[f] = sight{c.ID, id}
			}
			if why != "" && j.open[f] == "" {
				j.open[f] = why
			}
		}
	}
}

// shows tells whether a check's record shows a feature that it speaks of; why says
// what keeps the record from settling that.
func (j *judge) shows(c *profiles.CompiledCheck, feature string, rec *stepRecord) (id string, seen bool, why string) {
	why = rec.unsettled(c.Step)
	for _, o := range rec.answers() {
		facts, err := o.read(c)
		if err != nil {
			why = err.Error()
			continue
		}
		shows, err := c.Shows(feature, facts, j.declared(o.Unit))
		if err != nil {
			why = err.Error()
		}
		if shows {
			return o.ID, true, ""
		}
	}
	if r := j.readings[c.ID]; why == "" && r.verdict == Fail && feature == c.Feature {
		why = fmt.Sprintf("check %s found a flaw in it", c.ID)
	}
	return "", false, why
}

// read gives what a step's record says about a check: the worst of all answers. An
// error of the bench counts until a later attempt is answered.
func (j *judge) read(c *profiles.CompiledCheck, rec *stepRecord) reading {
	if rec == nil {
		return reading{verdict: Inconclusive, reason: "not asked: no observation of " + c.Step + " is on record"}
	}
	var worst reading
	unit := ""
	take := func(r reading) {
		if worse(r.verdict, worst.verdict) {
			if j.several && unit != "" {
				r.reason = unit + ": " + r.reason
			}
			worst = r
		}
	}
	for _, o := range rec.observations {
		unit = o.Unit
		switch {
		case o.broken != "":
			take(reading{verdict: Inconclusive, reason: o.broken, id: o.ID})
		case o.superseded:
		case o.Error != "":
			take(reading{verdict: Inconclusive, reason: "the bench failed: " + clip(o.Error), id: o.ID})
		case o.NotAsked != "":
			take(reading{verdict: Inconclusive, reason: "not asked: " + clip(o.NotAsked), id: o.ID})
		default:
			take(j.compare(c, o))
		}
	}
	if unit = ""; rec.gap != "" {
		take(reading{verdict: Inconclusive, reason: rec.gap})
	}
	return worst
}

// declared is what checks may ask about the dossier for a unit.
func (j *judge) declared(unit string) profiles.Declared {
	d, ok := j.declares[unit]
	if !ok {
		d = declared(j.d, unit)
		j.declares[unit] = d
	}
	return d
}

// declare holds the dossier alone against a check that asks for nothing else.
func (j *judge) declare(c *profiles.CompiledCheck) reading {
	return j.decide(c, map[string]any{}, j.declared(""), reading{verdict: Inconclusive})
}

// compare holds one answered observation against a check.
func (j *judge) compare(c *profiles.CompiledCheck, o *entry) reading {
	r := reading{verdict: Inconclusive, id: o.ID}
	facts, err := o.read(c)
	if err != nil {
		r.reason = err.Error()
		return r
	}
	r.facts = map[string]any{}
	for _, name := range c.Asks() {
		r.facts[name] = facts[name]
	}
	return j.decide(c, facts, j.declared(o.Unit), r)
}

// decide compares facts and declaration with what a check expects.
func (j *judge) decide(c *profiles.CompiledCheck, facts map[string]any, said profiles.Declared, r reading) reading {
	fair, err := c.Fair(facts, said)
	if err != nil {
		r.reason = "given cannot be decided: " + err.Error()
		return r
	}
	if !fair {
		r.reason = "not a fair test: " + text(c.Unfair, "given does not hold")
		return r
	}
	good, err := c.Good(facts, said)
	switch {
	case err != nil:
		r.reason = "expect cannot be decided: " + err.Error()
	case good:
		r.verdict, r.reason = Pass, "as expected"
	default:
		r.verdict, r.reason = Fail, text(c.Otherwise, "expect does not hold")
		j.name(c, facts, said, &r)
	}
	return r
}

// name says what a failure is about. That this cannot be told changes no verdict.
func (j *judge) name(c *profiles.CompiledCheck, facts map[string]any, said profiles.Declared, r *reading) {
	about, err := c.About(facts, said)
	if err != nil || len(about) == 0 {
		return
	}
	words, rows := compared(j.d, about, c.Row)
	r.rows = rows
	r.reason = strings.TrimSuffix(r.reason, ".") + ": " + few(words)
}

func text(s, otherwise string) string {
	if s = strings.TrimSpace(s); s == "" {
		return otherwise
	}
	return s
}

// clip bounds what a report repeats of a record.
func clip(s string) string {
	if r := []rune(s); len(r) > 500 {
		return string(r[:500]) + "..."
	}
	return s
}
