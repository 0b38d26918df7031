package verdict

import (
	"encoding/json"
	"fmt"
	"strings"

	"assay/profiles"
)

// requirement judges one requirement by its condition and its checks.
func (j *judge) requirement(r profiles.Required) Requirement {
	out := Requirement{
		ID: r.ID, Standard: r.Standard.ID, Edition: r.Standard.Edition, Title: r.Title, Level: r.Level,
		Status: r.Status, Condition: r.Condition, Cases: r.Cases, Checks: []Check{},
	}
	v, reason := j.applies(r.When)
	for _, id := range r.Checks {
		c, ok := j.set.Check(id)
		if !ok { // the loader refuses such a set
			continue
		}
		one := j.check(c)
		if v == NotApplicable {
			one.Verdict, one.Reason, one.Remedy = NotApplicable, reason, ""
		}
		out.Checks = append(out.Checks, one)
	}
	if v != Pass {
		out.Verdict, out.Reason = v, reason
		return out
	}
	out.Verdict, out.Reason = combine(out.Checks)
	return out
}

// combine is the algebra's line for requirements: any check fail -> fail; else any
// inconclusive -> inconclusive; else pass. Where no check applies, nothing was shown.
func combine(checks []Check) (Verdict, string) {
	count := map[Verdict]int{}
	var worst Verdict
	for _, c := range checks {
		count[c.Verdict]++
		if worse(c.Verdict, worst) {
			worst = c.Verdict
		}
	}
	switch {
	case len(checks) == 0:
		return Inconclusive, "no check answers it yet"
	case count[NotApplicable] == len(checks):
		return Inconclusive, "none of its checks applies to this product, so nothing shows that it is met"
	case worst == Pass:
		reason := fmt.Sprintf("%d of %d checks passed", count[Pass], len(checks))
		if n := count[NotApplicable]; n > 0 {
			reason += fmt.Sprintf(", %d not applicable", n)
		}
		return Pass, reason
	}
	var reasons []string
	for _, c := range checks {
		if c.Verdict == worst {
			reasons = append(reasons, c.ID+": "+c.Reason)
		}
	}
	return worst, strings.Join(reasons, "; ")
}

// check judges one check.
func (j *judge) check(c *profiles.CompiledCheck) Check {
	r := j.readings[c.ID]
	out := Check{ID: c.ID, Step: c.Step, Given: c.Given, Expect: c.Expect, Rows: r.rows}
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
	return out
}
