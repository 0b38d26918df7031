package verdict

import (
	"fmt"
	"strings"
	"time"

	"assay/profiles"
)

// conform makes the statement over the whole required set, and only over that: what
// did not run is inconclusive above and counts here. Recommended requirements are
// reported and change nothing.
func conform(res *Result, p profiles.Profile, on time.Time) {
	waive(res, p, on)
	var failed, waived, open []string
	for _, r := range res.Requirements {
		switch {
		case r.Level != profiles.Mandatory:
		case r.Verdict == Fail && r.Waived:
			waived = append(waived, r.ID)
		case r.Verdict == Fail:
			failed = append(failed, r.ID)
		case r.Verdict == Inconclusive:
			open = append(open, r.ID)
		}
	}
	switch {
	case len(failed) > 0:
		res.Conformity, res.Reason = NonConformant, said(failed, "failed")
	case len(open) > 0:
		res.Conformity, res.Reason = Incomplete, said(open, "inconclusive")
	case len(waived) > 0:
		res.Conformity, res.Reason = ConformantWithWaivers, said(waived, "failed and waived")
	default:
		res.Conformity, res.Reason = Conformant, "every mandatory requirement passed or does not apply"
	}
}

func said(ids []string, what string) string {
	return count(len(ids), "mandatory requirement") + " " + what + ": " + strings.Join(ids, ", ")
}

// count is a number of things.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// waive notes what becomes of each waiver. It never touches a verdict.
func waive(res *Result, p profiles.Profile, on time.Time) {
	for _, w := range p.Waivers {
		out := Waiver{Waiver: w}
		for i := range res.Requirements {
			r := &res.Requirements[i]
			if r.Standard+"/"+r.ID != w.Requirement {
				continue
			}
			if out.Reason = idle(w, *r, p, on); out.Reason == "" {
				out.Counts, r.Waived = true, true
				out.Reason = "accepted by " + w.Approver + " until " + w.Expires
			}
		}
		res.Waivers = append(res.Waivers, out)
	}
}

// idle says why a waiver counts for nothing; empty means that it counts.
func idle(w profiles.Waiver, r Requirement, p profiles.Profile, on time.Time) string {
	last, err := w.LastDay()
	switch {
	case err != nil:
		return "its date cannot be read"
	case !on.UTC().Before(last.AddDate(0, 0, 1)):
		return "expired on " + w.Expires
	case w.Profile != p.Version:
		return fmt.Sprintf("written for version %s of the profile, this is %s", w.Profile, p.Version)
	case r.Level != profiles.Mandatory:
		return "the requirement is recommended: nothing to waive"
	case r.Verdict != Fail:
		return "the requirement did not fail"
	}
	return ""
}
