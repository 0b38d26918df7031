package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"assay/firmware/strictjson"
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
			err := strictjson.Unmarshal(raw, &r)
			if err == nil {
				err = owned(a, r)
			}
			if err != nil {
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

// owned demands that whoever signed gave the answer, and not before its day.
func owned(a evidence.Amendment, r review.Review) error {
	day, _, err := r.Days()
	switch {
	case r.By.Name != a.By:
		return fmt.Errorf("an answer by %.80q in what %.80q signed", r.By.Name, a.By)
	case err != nil:
		return err
	case day.After(a.Time.Add(24 * time.Hour)): // a day begins earlier in the east
		return fmt.Errorf("an answer of %s in what was signed on %s", r.Date, a.Time.Format(time.DateOnly))
	}
	return nil
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
// one of the run's operators or the seal's key. A sign-off covers what stood before it, so that a later
// review, correction or withdrawal of one wants new ones. checked counts only amendments whose signature holds
// under a given key. nil where the profile wants none.
func Approve(ev *evidence.Evidence, checked bool) (*Approval, error) {
	in, err := Inputs(ev)
	if err != nil {
		return nil, err
	}
	wants := in.Set.Profile.Approvals
	if wants == nil {
		return nil, nil
	}
	stands := map[int]bool{}
	for _, a := range ev.Standing(checked) {
		stands[a.Number] = true
	}
	var signed []evidence.Amendment
	for _, a := range ev.Amendments {
		switch {
		case checked && !a.Checked:
		case a.Kind != evidence.AmendSignOff && !withdrawsSignOff(ev, a):
			signed = nil
		case stands[a.Number] && a.Kind == evidence.AmendSignOff && !operates(in, a.By) && a.Hint != ev.Hint:
			signed = append(signed, a)
		}
	}
	return match(rolesOf(wants), signed), nil
}

// withdrawsSignOff tells a withdrawal that leaves what others signed off as it was.
func withdrawsSignOff(ev *evidence.Evidence, a evidence.Amendment) bool {
	return a.Kind == evidence.AmendWithdrawal && slices.ContainsFunc(ev.Amendments, func(b evidence.Amendment) bool {
		return b.Kind == evidence.AmendSignOff && a.Of == fmt.Sprintf("amendment/%d", b.Number)
	})
}

// operates tells whether somebody began the run, or went on with it.
func operates(in *lab.Inputs, name string) bool {
	return same(name, in.Begin.Operator) || slices.ContainsFunc(in.Gaps, func(g lab.Gap) bool { return same(name, g.Operator) })
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

// same tells whether two names can be one person's: letters and digits count, whatever their case and however they
// are composed. Who has no name is nobody.
func same(a, b string) bool {
	if a = letters(a); a == "" {
		return false
	}
	return a == letters(b)
}

func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return r
	}, norm.NFKD.String(strings.ToLower(strings.ToUpper(norm.NFKD.String(name)))))
}

// maxMatches bounds the search among sign-offs: a file can hold thousands, under names and keys of their author's choice.
const maxMatches = 1 << 14

// A signer is who signed off, told apart by name and by key.
type signer struct{ role, by, name, key string }

// match gives each role a sign-off of its own and tells the best that it finds: a person who signed
// in two roles stands for one of them only.
func match(roles []string, signed []evidence.Amendment) *Approval {
	var all []signer
	seen := map[signer]bool{}
	for _, a := range signed {
		s := signer{a.Role, a.By, letters(a.By), a.Hint}
		if one := (signer{s.role, "", s.name, s.key}); !seen[one] {
			seen[one] = true
			all = append(all, s)
		}
	}
	left := maxMatches
	return matchWithin(&left, roles, all)
}

func matchWithin(left *int, roles []string, signed []signer) *Approval {
	*left--
	if len(roles) == 0 {
		return &Approval{Approved: true}
	}
	best := &Approval{Missing: roles}
	for _, s := range signed {
		if s.role != roles[0] || *left <= 0 {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(signed), func(o signer) bool { return s.name == o.name || s.key == o.key })
		if got := matchWithin(left, roles[1:], rest); len(got.Missing) < len(best.Missing) {
			best = &Approval{Approved: got.Approved, By: append([]string{s.role + " " + s.by}, got.By...), Missing: got.Missing}
		}
		if best.Approved {
			return best
		}
	}
	if *left > 0 {
		if got := matchWithin(left, roles[1:], signed); len(got.Missing)+1 < len(best.Missing) {
			best = &Approval{By: got.By, Missing: append([]string{roles[0]}, got.Missing...)}
		}
	}
	return best
}
