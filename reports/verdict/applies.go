package verdict

import (
	"fmt"
	"slices"
	"strings"

	"assay/profiles"
	"assay/profiles/dossier"
)

// A denial is what the dossier says about a feature that it denies; because may be empty.
type denial func(feature string) (because string, denied bool)

// applies decides whether something with a condition is to be judged at all. NotApplicable,
// Inconclusive and Fail end the matter, with the reason; Pass means that it applies.
//
// The dossier may deny what the condition needs. That counts only with a reason
// (TS 103 701: every "N/A" needs its justification), and only where no observation shows
// the denied feature; where the profile could have shown it and nobody looked, it is open.
func (j *judge) applies(c profiles.Condition, denies denial) (Verdict, string) {
	denied := func(f string) bool { _, no := denies(f); return no }
	if !slices.ContainsFunc(c.Features(), denied) {
		return Pass, "" // what is not denied is there, and a condition only asks for what is there
	}
	justified := func(f string) bool {
		because, no := denies(f)
		_, seen := j.shown[f]
		return no && dossier.Reasoned(because) && !seen
	}
	closed := func(f string) bool { return justified(f) && j.open[f] == "" }
	switch {
	case c.Holds(denied):
		return Pass, ""
	case !c.Holds(closed):
		return NotApplicable, j.words(c, denies, closed)
	case !c.Holds(justified):
		return Inconclusive, j.words(c, denies, justified)
	default:
		return Fail, j.words(c, denies, denied)
	}
}

// words tells about each of a condition's features that a predicate picks.
func (j *judge) words(c profiles.Condition, denies denial, pick func(string) bool) string {
	var out []string
	for _, f := range c.Features() {
		if !pick(f) {
			continue
		}
		because, _ := denies(f)
		because = strings.TrimSpace(because)
		switch seen, contradicted := j.shown[f]; {
		case contradicted:
			out = append(out, fmt.Sprintf("the dossier denies %s, but observation %s shows it (check %s)", f, clip(seen.observation), seen.check))
		case !dossier.Reasoned(because):
			out = append(out, fmt.Sprintf("the dossier denies %s without a reason: write because, or test it", f))
		case j.open[f] != "":
			out = append(out, fmt.Sprintf("the dossier denies %s (%s), and whether the product has it all the same is not settled: %s", f, clip(because), j.open[f]))
		default:
			out = append(out, fmt.Sprintf("the dossier denies %s: %s", f, clip(because)))
		}
	}
	return strings.Join(out, "; ")
}

// wanted decides whether a requirement is to be judged: by its condition, and where the standard has
// an ICS, by what that claims (TS 103 701, clause 4: what is not claimed is not tested, and needs its
// justification; a mandatory provision that applies and is not claimed is not met).
func (j *judge) wanted(r profiles.Required) (Verdict, string) {
	v, reason := j.applies(r.When, j.d.Lacks)
	claim, ok := j.d.Claims(r)
	if v != Pass || !ok {
		return v, reason
	}
	if why, condemned := j.d.Condemns(r); condemned {
		return Fail, clip(why)
	}
	detail := clip(strings.TrimSpace(claim.Detail))
	switch {
	case claim.Support == dossier.Supported:
		return Pass, ""
	case claim.Support == dossier.NotSupported:
		return NotApplicable, "the ICS does not claim this recommendation: " + detail
	case len(r.When.Features()) == 0:
		return NotApplicable, "the ICS answers N/A to this recommendation: " + detail
	}
	return j.applies(r.When, func(f string) (string, bool) {
		if because, no := j.d.Lacks(f); no {
			return because, no
		}
		return "the ICS answers N/A: " + detail, true
	})
}

// applicable is applies for a check. A flaw that was seen through a way in which the
// dossier denies is a flaw; and where nobody looked, nobody can say that there is none.
func (j *judge) applicable(c *profiles.CompiledCheck) (Verdict, string) {
	v, reason := j.applies(c.When, j.d.Lacks)
	if v != NotApplicable {
		return v, reason
	}
	if r := j.readings[c.ID]; r.verdict == Fail {
		return Fail, fmt.Sprintf("%s, but observation %s shows it: %s", reason, clip(r.id), r.reason)
	}
	if c.Step == "" {
		return v, reason
	}
	if why := j.records[c.Step].unsettled(c.Step); why != "" {
		return Inconclusive, fmt.Sprintf("%s, and whether that is so is not settled: %s", reason, why)
	}
	return v, reason
}
