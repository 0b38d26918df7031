package verdict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"assay/profiles"
)

// standards tells what a reader must know of the set's standards.
func standards(set *profiles.Set) []Standard {
	var out []Standard
	for _, s := range set.Standards {
		one := Standard{ID: s.ID, Title: s.Title, Edition: s.Edition, Tests: s.Tests}
		for _, x := range s.Restrictions {
			if !slices.ContainsFunc(s.Requirements, func(r profiles.Requirement) bool { return slices.Contains(r.Restrictions, x.ID) }) {
				one.Restrictions = append(one.Restrictions, x)
			}
		}
		for _, f := range set.Register {
			if slices.Contains(f.Standards, s.ID) {
				one.Register = append(one.Register, f)
			}
		}
		out = append(out, one)
	}
	return out
}

// requirement judges one requirement by its condition, its checks and its reviews.
func (j *judge) requirement(r profiles.Required) Requirement {
	out := Requirement{
		ID: r.ID, Standard: r.Standard.ID, Edition: r.Standard.Edition, Title: r.Title, Level: r.Level,
		Status: r.Status, Condition: r.Condition, Certainty: r.Certainty, Checks: []Check{},
	}
	for _, x := range r.Standard.Restrictions {
		if slices.Contains(r.Restrictions, x.ID) {
			out.Restrictions = append(out.Restrictions, x)
		}
	}
	v, reason := j.wanted(r)
	byID := map[string]Check{}
	for _, id := range r.Checks() {
		c, ok := j.set.Check(id)
		if !ok { // the loader refuses such a set
			continue
		}
		one := j.check(c)
		if v == NotApplicable {
			one.Verdict, one.Reason, one.Remedy = NotApplicable, reason, ""
		}
		byID[id] = one
		out.Checks = append(out.Checks, one)
	}
	scope := "" // why no item of the product is in a decision tree's scope
	for _, c := range r.Cases {
		one, outside := j.testCase(r, c, byID, scope)
		if outside != "" {
			scope = outside
		}
		if v == NotApplicable {
			spare(&one, reason)
		}
		out.Cases = append(out.Cases, one)
	}
	out.Verdict, out.Reason = v, reason
	if v == Pass {
		out.Verdict, out.Reason = combine(out)
		if scope != "" && !worse(worstOf(out), Pass) {
			out.Verdict, out.Reason = NotApplicable, scope
		}
	}
	return out
}

// spare marks a case's units as not applicable.
func spare(c *Case, reason string) {
	c.Verdict = NotApplicable
	for i := range c.Units {
		u := &c.Units[i]
		u.Verdict, u.Reason = NotApplicable, reason
		if u.Review != nil {
			u.Review.Verdict, u.Review.Reason = NotApplicable, reason
		}
	}
}

// testCase judges one case. outside tells why its decision tree leaves every item of the product out
// of scope; what a later case asks of such items has nothing to ask of.
func (j *judge) testCase(r profiles.Required, c profiles.Case, checks map[string]Check, scope string) (out Case, outside string) {
	out = Case{ID: c.ID, Kind: c.Kind, Needs: c.Needs}
	var worst Verdict
	for _, u := range c.Units {
		one := j.unit(r, c, u, checks)
		switch {
		case len(c.Tree) > 0 && one.Verdict == NotApplicable:
			outside = one.Reason
		case scope != "" && c.Kind == profiles.Sufficiency && one.Verdict == Inconclusive:
			one.Verdict, one.Reason = NotApplicable, scope
		}
		if worse(one.Verdict, worst) {
			worst = one.Verdict
		}
		out.Units = append(out.Units, one)
	}
	if out.Verdict = worst; worst == "" {
		out.Verdict = NotApplicable
	}
	return out, outside
}

// unit is the algebra's line for requirements, one level down: a unit is as good as the worst of its
// answers. Where none of its checks applies and nobody is asked beside them, nothing was shown. A unit
// about one implementation category asks nothing of a product of another: a reviewer says which it is.
func (j *judge) unit(r profiles.Required, c profiles.Case, u profiles.Unit, checks map[string]Check) Unit {
	out := Unit{ID: u.ID, Asks: u.Asks, Category: u.Category, Checks: u.Checks}
	var worst Verdict
	applied := 0
	var bad []string
	take := func(v Verdict, what string) {
		if worse(v, worst) {
			worst, bad = v, nil
		}
		if v == worst && v != Pass {
			bad = append(bad, what)
		}
		if v != NotApplicable {
			applied++
		}
	}
	if u.Review != "" {
		out.Review = j.review(r, c, u)
		take(out.Review.Verdict, "review: "+out.Review.Reason)
	}
	for _, id := range u.Checks {
		v, what := checks[id].Verdict, id+": "+checks[id].Reason
		if v == Fail && u.Category != "" && (out.Review == nil || out.Review.Said == nil) {
			v, what = Inconclusive, "whether the product is of the category "+u.Category+" is for a reviewer to say; if so, "+what
		}
		take(v, what)
	}
	switch {
	case len(u.Checks) == 0 && u.Review == "":
		out.Verdict, out.Reason = Inconclusive, "nothing answers it yet"
	case out.Review != nil && out.Review.Verdict == NotApplicable:
		out.Verdict, out.Reason = NotApplicable, out.Review.Reason
	case applied == 0:
		out.Verdict, out.Reason = Inconclusive, "none of its checks applies to this product, so nothing shows that it is met"
	case worst == Pass:
		out.Verdict, out.Reason = Pass, "as expected"
	default:
		out.Verdict, out.Reason = worst, joined(bad)
	}
	return out
}

// worstOf is the worst verdict of a requirement's units.
func worstOf(r Requirement) Verdict {
	var worst Verdict
	for _, c := range r.Cases {
		for _, u := range c.Units {
			if worse(u.Verdict, worst) {
				worst = u.Verdict
			}
		}
	}
	return worst
}

// combine is the algebra's line for requirements: any unit fail -> fail; else any inconclusive ->
// inconclusive; else pass. Where no unit applies, nothing was shown.
func combine(r Requirement) (Verdict, string) {
	worst := worstOf(r)
	var open, persons []string
	for _, c := range r.Cases {
		for _, u := range c.Units {
			switch {
			case u.Verdict != worst:
			case len(u.Checks) == 0 && u.Review == nil:
				open = append(open, c.ID+"."+u.ID)
			case u.Review != nil && u.Review.Verdict == worst:
				persons = append(persons, c.ID+"."+u.ID+": "+u.Review.Reason)
			case slices.ContainsFunc(r.Checks, func(k Check) bool { return k.Verdict == worst && slices.Contains(u.Checks, k.ID) }):
			default:
				persons = append(persons, c.ID+"."+u.ID+": "+u.Reason)
			}
		}
	}
	switch {
	case len(r.Cases) == 0:
		return Inconclusive, "nothing answers it yet"
	case worst == "" || worst == NotApplicable:
		return Inconclusive, "none of its questions applies to this product, so nothing shows that it is met"
	case worst == Pass:
		return Pass, passed(r)
	}
	var reasons []string
	for _, c := range r.Checks {
		if c.Verdict == worst {
			reasons = append(reasons, c.ID+": "+c.Reason)
		}
	}
	if len(open) > 0 {
		reasons = append(reasons, "nothing answers "+few(open)+" yet")
	}
	return worst, joined(append(reasons, unreviewed(persons)...))
}

// joined makes one sentence of several: only the last keeps its full stop.
func joined(reasons []string) string {
	var b strings.Builder
	for i, r := range reasons {
		if i < len(reasons)-1 {
			r = strings.TrimSuffix(r, ".") + "; "
		}
		b.WriteString(r)
	}
	return b.String()
}

// unreviewed joins the questions that nobody answered into one sentence; others stay as they are.
func unreviewed(persons []string) []string {
	var waiting, out []string
	for _, p := range persons {
		if id, ok := strings.CutSuffix(p, ": "+noReview); ok {
			waiting = append(waiting, id)
			continue
		}
		out = append(out, p)
	}
	if len(waiting) > 0 {
		out = append(out, noReview+" of "+few(waiting))
	}
	return out
}

// passed says what a pass rests on.
func passed(r Requirement) string {
	checks := map[Verdict]int{}
	for _, c := range r.Checks {
		checks[c.Verdict]++
	}
	reviews, spared := 0, 0
	for _, c := range r.Cases {
		for _, u := range c.Units {
			if u.Verdict == NotApplicable {
				spared++
			}
			if u.Review != nil && u.Review.Verdict == Pass {
				reviews++
			}
		}
	}
	var parts []string
	if len(r.Checks) > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s passed", checks[Pass], count(len(r.Checks), "check")))
		if n := checks[NotApplicable]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d not applicable", n))
		}
	}
	if reviews > 0 {
		says := "say"
		if reviews == 1 {
			says = "says"
		}
		parts = append(parts, count(reviews, "review")+" "+says+" met")
	}
	if spared > 0 {
		parts = append(parts, count(spared, "question")+" not applicable")
	}
	return strings.Join(parts, ", ")
}

// check judges one check, once for all that name it.
func (j *judge) check(c *profiles.CompiledCheck) Check {
	if done, ok := j.checks[c.ID]; ok {
		return done
	}
	r := j.readings[c.ID]
	out := Check{ID: c.ID, Evidence: c.Evidence, Step: c.Step, Given: c.Given, Expect: c.Expect, Rows: r.rows}
	if len(out.Rows) == 0 {
		out.Rows = j.d.Rows(c.Row, c.Words())
	}
	if len(out.Rows) == 0 && c.Row != "" {
		out.Rows = []string{c.Row}
	}
	v, reason := j.applicable(c)
	out.Observation = r.id
	if v == Pass {
		v, reason = r.verdict, r.reason
	}
	out.Verdict, out.Reason = v, reason
	if len(r.facts) > 0 {
		// Decoded values of five plain types: JSON has a form for each.
		out.Facts, _ = json.Marshal(r.facts)
	}
	if v == Fail {
		out.Remedy = strings.TrimSpace(c.Remedy)
	}
	j.checks[c.ID] = out
	return out
}
