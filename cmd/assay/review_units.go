package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// A reviewUnit is one unit that wants a person's answer, and how far it is answered.
type reviewUnit struct {
	profiles.Wanted
	spared string         // why the dossier spares it; empty: it does not
	said   *review.Review // what the file says of it; nil: nothing
	lacks  string         // why what it says is no answer; empty: it is one
}

func (u reviewUnit) open() bool { return u.spared == "" && (u.said == nil || u.lacks != "") }

// short is how people name a unit within its standard.
func (u reviewUnit) short() string { return u.Case.ID + "." + u.Unit.ID }

// reviewUnits lists the units of a set that want a person, each with what a file says of it.
func reviewUnits(set *profiles.Set, d *dossier.Dossier, file *reviewFile) []reviewUnit {
	var out []reviewUnit
	for _, w := range set.Wanted() {
		u := reviewUnit{Wanted: w}
		u.spared, _ = d.Spares(w.Requirement)
		u.look(file)
		out = append(out, u)
	}
	return out
}

// look takes up what a file says of the unit now.
func (u *reviewUnit) look(file *reviewFile) {
	u.said, u.lacks = file.find(u.Address), ""
	if u.said != nil {
		u.lacks = lacks(u.Wanted, *u.said, file.now())
	}
}

// lacks tells why a review will not settle its unit, by the rules of the judge; empty: it will.
func lacks(w profiles.Wanted, r review.Review, today time.Time) string {
	_, _, err := r.Days()
	switch {
	case err != nil:
		return err.Error()
	case expired(r, today):
		return "it expired on " + r.Expires
	case r.Answer == review.Open:
		return "it was left open"
	}
	if err := r.Grounded(w.Unit.Review); err != nil {
		return err.Error()
	}
	if len(w.Case.Tree) > 0 {
		return misfit(w.Case, r.Answer, r.Items)
	}
	if r.Answer == review.NotApplicable && w.Unit.Category == "" {
		return "not-applicable is no answer to this unit: deny its condition in the dossier, with a reason"
	}
	return ""
}

// expired tells whether a review's last day has passed.
func expired(r review.Review, today time.Time) bool {
	_, last, err := r.Days()
	return err == nil && today.UTC().Truncate(24*time.Hour).After(last)
}

// misfit tells why an answer does not go with the walks through a decision tree; empty: it does.
func misfit(c profiles.Case, answer review.Answer, items []review.Item) string {
	names := map[string][]string{}
	for _, i := range items {
		outcome, err := outcomeOf(c, i)
		if err != nil {
			return fmt.Sprintf("item %s: %v", i.Name, err)
		}
		names[outcome] = append(names[outcome], i.Name)
	}
	pass, fail, outside := names[profiles.OutcomePass], names[profiles.OutcomeFail], names[profiles.OutcomeNotApplicable]
	switch {
	case answer == review.NotMet:
		return ""
	case len(fail) > 0:
		return fmt.Sprintf("the tree ends in FAIL for %s: it cannot be %s", strings.Join(fail, ", "), answer)
	case c.Verdicts == "B" && len(outside) > 0:
		return fmt.Sprintf("the tree does not pass for %s: it cannot be %s", strings.Join(outside, ", "), answer)
	case answer == review.Met && len(pass) == 0:
		return "no item passes the tree: it cannot be met"
	case answer == review.NotApplicable && len(pass) > 0:
		return fmt.Sprintf("the tree passes for %s: it is applicable", strings.Join(pass, ", "))
	}
	return ""
}

// outcomeOf walks one item.
func outcomeOf(c profiles.Case, i review.Item) (string, error) {
	answers, err := i.Answered()
	if err != nil {
		return "", err
	}
	return c.Walk(answers)
}

// only keeps the units of the requirements that are named, by id or by standard/id; none: all.
func onlyUnits(units []reviewUnit, names []string) ([]reviewUnit, error) {
	if len(names) == 0 {
		return units, nil
	}
	var out []reviewUnit
	found := map[string]bool{}
	for _, u := range units {
		for _, n := range names {
			if n == u.Requirement.ID || n == u.Requirement.Address() {
				found[n] = true
				out = append(out, u)
				break
			}
		}
	}
	for _, n := range names {
		if !found[n] {
			return nil, unusable(fmt.Errorf("--only: no requirement %s with a unit that wants a person's answer", quote(n)), "without --only, --list shows all")
		}
	}
	return out, nil
}

// chosenUnits are the indices of the units that are named with --again.
func chosenUnits(units []reviewUnit, names []string) ([]int, error) {
	var out []int
	for _, n := range names {
		var hits []int
		for i, u := range units {
			if n == u.Address || n == u.short() {
				hits = append(hits, i)
			}
		}
		switch {
		case len(hits) == 0:
			return nil, unusable(fmt.Errorf("--again: no unit %s wants a person's answer here", quote(n)), "name it like "+units[0].Address)
		case len(hits) > 1:
			return nil, unusable(fmt.Errorf("--again: %s stands in several standards", quote(n)), "name it like "+units[hits[0]].Address)
		case units[hits[0]].spared != "":
			return nil, unusable(fmt.Errorf("--again: %s is not asked: %s", n, units[hits[0]].spared), "change the dossier if it applies after all")
		case !slices.Contains(out, hits[0]):
			out = append(out, hits[0])
		}
	}
	return out, nil
}

// openUnits are the indices of the units that still want an answer.
func openUnits(units []reviewUnit) []int {
	var out []int
	for i, u := range units {
		if u.open() {
			out = append(out, i)
		}
	}
	return out
}
