package review

import (
	"fmt"
	"strings"
	"time"

	"assay/profiles"
	"assay/profiles/dossier"
)

// A Unit is one unit that wants a person's answer, and how far it is answered.
type Unit struct {
	profiles.Wanted
	Spared string  // why the dossier spares it; empty: it does not
	Said   *Review // what the file says of it; nil: nothing
	Lacks  string  // why what it says is no answer; empty: it is one
}

// Open tells whether the unit still wants an answer.
func (u Unit) Open() bool { return u.Spared == "" && (u.Said == nil || u.Lacks != "") }

// Short is how people name a unit within its standard.
func (u Unit) Short() string { return u.Case.ID + "." + u.Unit.ID }

// Units lists the units of a set that want a person, each with what a file says of it.
func Units(set *profiles.Set, d *dossier.Dossier, k *Keeper) []Unit {
	var out []Unit
	for _, w := range set.Wanted() {
		u := Unit{Wanted: w}
		u.Spared, _ = d.Spares(w.Requirement)
		u.Look(k)
		out = append(out, u)
	}
	return out
}

// OpenUnits are the indices of the units that still want an answer.
func OpenUnits(units []Unit) []int {
	var out []int
	for i, u := range units {
		if u.Open() {
			out = append(out, i)
		}
	}
	return out
}

// Look takes up what a file says of the unit now.
func (u *Unit) Look(k *Keeper) {
	u.Said, u.Lacks = k.Find(u.Address), ""
	if u.Said != nil {
		u.Lacks = lacks(u.Wanted, *u.Said, k.Now())
	}
}

// lacks tells why a review will not settle its unit, by the rules of the judge; empty: it will.
func lacks(w profiles.Wanted, r Review, today time.Time) string {
	_, _, err := r.Days()
	switch {
	case err != nil:
		return err.Error()
	case r.Expired(today):
		return "it expired on " + r.Expires
	case r.Answer == Open:
		return "it was left open"
	}
	if err := r.Grounded(w.Unit.Review); err != nil {
		return err.Error()
	}
	if len(w.Case.Tree) > 0 {
		return Misfit(w.Case, r.Answer, r.Items)
	}
	if r.Answer == NotApplicable && w.Unit.Category == "" {
		return "not-applicable is no answer to this unit: deny its condition in the dossier, with a reason"
	}
	return ""
}

// Expired tells whether a review's last day has passed.
func (r Review) Expired(today time.Time) bool {
	_, last, err := r.Days()
	return err == nil && today.UTC().Truncate(24*time.Hour).After(last)
}

// GoodExpiry refuses what is no day, or one that has passed.
func GoodExpiry(s string, now time.Time) error {
	last, err := time.Parse(time.DateOnly, s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a date: write it like %s", s, NextYear(now))
	case last.Before(now.UTC().Truncate(24 * time.Hour)):
		return fmt.Errorf("%s has passed: an answer would not count for a day", s)
	}
	return nil
}

// NextYear is the last day of an answer where nobody chooses another one.
func NextYear(now time.Time) string { return now.UTC().AddDate(1, 0, 0).Format(time.DateOnly) }

// Misfit tells why an answer does not go with the walks through a decision tree; empty: it does.
func Misfit(c profiles.Case, answer Answer, items []Item) string {
	names := map[string][]string{}
	for _, i := range items {
		outcome, err := i.Outcome(c)
		if err != nil {
			return fmt.Sprintf("item %s: %v", i.Name, err)
		}
		names[outcome] = append(names[outcome], i.Name)
	}
	pass, fail, outside := names[profiles.OutcomePass], names[profiles.OutcomeFail], names[profiles.OutcomeNotApplicable]
	switch {
	case answer == NotMet:
		return ""
	case len(fail) > 0:
		return fmt.Sprintf("the tree ends in FAIL for %s: it cannot be %s", strings.Join(fail, ", "), answer)
	case c.Verdicts == "B" && len(outside) > 0:
		return fmt.Sprintf("the tree does not pass for %s: it cannot be %s", strings.Join(outside, ", "), answer)
	case answer == Met && len(pass) == 0:
		return "no item passes the tree: it cannot be met"
	case answer == NotApplicable && len(pass) > 0:
		return fmt.Sprintf("the tree passes for %s: it is applicable", strings.Join(pass, ", "))
	}
	return ""
}

// Outcome walks the item through a case's tree.
func (i Item) Outcome(c profiles.Case) (string, error) {
	answers, err := i.Answered()
	if err != nil {
		return "", err
	}
	return c.Walk(answers)
}

// Template is reviews to fill in with an editor: an entry for each open unit, with nothing answered.
func Template(units []Unit, d *dossier.Dossier, by Person, expires string, now time.Time) []Review {
	if expires == "" {
		expires = NextYear(now)
	}
	var out []Review
	for _, u := range units {
		if !u.Open() || u.Said != nil {
			continue
		}
		r := Review{Units: []string{u.Address}, Answer: Open, By: by, Date: now.UTC().Format(time.DateOnly), Expires: expires}
		for _, row := range d.Declarations(u.Case.IXIT) {
			r.Rows = append(r.Rows, row.Address)
		}
		if len(u.Case.Tree) > 0 {
			r.Items = []Item{{}}
		}
		out = append(out, r)
	}
	return out
}
