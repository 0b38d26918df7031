package verdict

import (
	"fmt"
	"slices"
	"strings"

	"assay/profiles"
)

// applies decides whether something with a condition is to be judged at all. NotApplicable,
// Inconclusive and Fail end the matter, with the reason; Pass means that it applies.
//
// The dossier may deny what the condition needs. That counts only with a reason
// (TS 103 701: every "N/A" needs its justification), and only where no observation shows
// the denied feature; where the profile could have shown it and nobody looked, it is open.
func (j *judge) applies(c profiles.Condition) (Verdict, string) {
	denied := func(f string) bool { _, no := j.d.Lacks(f); return no }
	if !slices.ContainsFunc(c.Features(), denied) {
		return Pass, "" // what is not denied is there, and a condition only asks for what is there
	}
	justified := func(f string) bool { _, seen := j.shown[f]; return j.d.Spared(f) && !seen }
	closed := func(f string) bool { return justified(f) && j.open[f] == "" }
	switch {
	case c.Holds(denied):
		return Pass, ""
	case !c.Holds(closed):
		return NotApplicable, j.words(c, closed)
	case !c.Holds(justified):
		return Inconclusive, j.words(c, justified)
	default:
		return Fail, j.words(c, denied)
	}
}

// words tells about each of a condition's features that a predicate picks.
func (j *judge) words(c profiles.Condition, pick func(string) bool) string {
	var out []string
	for _, f := range c.Features() {
		if !pick(f) {
			continue
		}
		because, _ := j.d.Lacks(f)
		because = strings.TrimSpace(because)
		switch seen, contradicted := j.shown[f]; {
		case contradicted:
			out = append(out, fmt.Sprintf("the dossier denies %s, but observation %s shows it (check %s)", f, clip(seen.observation), seen.check))
		case because == "":
			out = append(out, fmt.Sprintf("the dossier denies %s without a reason: write because, or test it", f))
		case j.open[f] != "":
			out = append(out, fmt.Sprintf("the dossier denies %s (%s), and whether the product has it all the same is not settled: %s", f, clip(because), j.open[f]))
		default:
			out = append(out, fmt.Sprintf("the dossier denies %s: %s", f, clip(because)))
		}
	}
	return strings.Join(out, "; ")
}

// applicable is applies for a check. A flaw that was seen through a way in which the
// dossier denies is a flaw; and where nobody looked, nobody can say that there is none.
func (j *judge) applicable(c *profiles.CompiledCheck) (Verdict, string) {
	v, reason := j.applies(c.When)
	if v != NotApplicable {
		return v, reason
	}
	if r := j.readings[c.ID]; r.verdict == Fail {
		return Fail, fmt.Sprintf("%s, but observation %s shows it: %s", reason, clip(r.id), r.reason)
	}
	if why := j.records[c.Step].unsettled(c.Step); why != "" {
		return Inconclusive, fmt.Sprintf("%s, and whether that is so is not settled: %s", reason, why)
	}
	return v, reason
}
