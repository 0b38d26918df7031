package reports

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"assay/lab"
	"assay/lab/evidence"
	"assay/profiles"
	"assay/profiles/review"
)

// Reviewed gathers the reviews of amendments, in their order. nil where there is none.
func Reviewed(amendments []evidence.Amendment) (*review.File, error) {
	f := &review.File{}
	for _, a := range amendments {
		for _, raw := range a.Reviews {
			var r review.Review
			if err := json.Unmarshal(raw, &r); err != nil {
				return nil, fmt.Errorf("read the reviews of amendment %d: %w", a.Number, err)
			}
			f.Reviews = append(f.Reviews, r)
		}
	}
	if len(f.Reviews) == 0 {
		return nil, nil
	}
	return f, nil
}

// Amended judges a record by its own profile with the reviews that amendments brought. The sealed
// verdicts stay what they are: these stand beside them. nil where no amendment brings a review.
func Amended(ev *evidence.Evidence, standing []evidence.Amendment) (*Report, error) {
	f, err := Reviewed(standing)
	if err != nil || f == nil {
		return nil, err
	}
	return build(ev, func(in *lab.Inputs) { in.Reviews = append(in.Reviews, f.Reviews...) })
}

// An Approval tells whether the sign-offs that a profile wants are there.
type Approval struct {
	Approved bool     `json:"approved"`
	By       []string `json:"by,omitempty"`      // e.g. "approver A. Body"
	Missing  []string `json:"missing,omitempty"` // roles, one for each sign-off that is wanted still
}

// Approve matches sign-offs with what a profile wants: distinct persons with distinct keys, none of them
// the run's operator or the seal's key. A sign-off covers what stood before it, so that a later
// review or correction wants new ones. nil where the profile wants none.
func Approve(ev *evidence.Evidence, standing []evidence.Amendment) (*Approval, error) {
	in, err := Inputs(ev)
	if err != nil {
		return nil, err
	}
	wants := in.Set.Profile.Approvals
	if wants == nil {
		return nil, nil
	}
	var signed []evidence.Amendment
	for _, a := range standing {
		switch {
		case a.Kind == evidence.AmendReview || a.Kind == evidence.AmendCorrection:
			signed = nil
		case a.Kind == evidence.AmendSignOff && !same(a.By, in.Begin.Operator) && a.Hint != ev.Hint:
			signed = append(signed, a)
		}
	}
	return match(rolesOf(wants), signed), nil
}

func rolesOf(w *profiles.Approvals) []string {
	var roles []string
	for range w.Reviewer {
		roles = append(roles, evidence.RoleReviewer)
	}
	for range w.Approver {
		roles = append(roles, evidence.RoleApprover)
	}
	return roles
}

func same(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// match gives each role a sign-off of its own and tells the best that there is: a person who signed
// in two roles stands for one of them only.
func match(roles []string, signed []evidence.Amendment) *Approval {
	if len(roles) == 0 {
		return &Approval{Approved: true}
	}
	best := match(roles[1:], signed)
	best = &Approval{By: best.By, Missing: append([]string{roles[0]}, best.Missing...)}
	seen := map[string]bool{}
	for _, a := range signed {
		who := a.By + "\x00" + a.Hint
		if a.Role != roles[0] || seen[who] {
			continue
		}
		seen[who] = true
		rest := slices.DeleteFunc(slices.Clone(signed), func(b evidence.Amendment) bool { return same(a.By, b.By) || a.Hint == b.Hint })
		if got := match(roles[1:], rest); len(got.Missing) < len(best.Missing) {
			best = &Approval{Approved: got.Approved, By: append([]string{a.Role + " " + a.By}, got.By...), Missing: got.Missing}
		}
	}
	return best
}
