package html

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"assay/profiles"
	"assay/profiles/review"
	"assay/reports"
	"assay/reports/verdict"
)

type (
	requirementView struct {
		ID, Title, Level, Verdict, Class, Sign, Anchor, Reason, Applies string
		Recalled, Waived, Recommended, Open, GivenUp                    bool
		Badges                                                          []restrictionView
		Cells                                                           []link
		Reviews                                                         *reviewsView
		Cases                                                           []caseView
		Checks                                                          []checkView
		Elsewhere                                                       []link
	}
	caseView struct {
		ID, Kind, Needs string
		Units           []unitView
	}
	unitView struct {
		ID, Asks, Category, Verdict, Class, Reason string
		Checks                                     []link
		Review                                     *reviewView
	}
	reviewView struct {
		Said                                                              bool
		Reason, Wants, Class, Sign, Anchor, Answer                        string
		Name, Role, Organisation, Date, Expires, Statement, See, SameUnit string
		Rows                                                              []string
		Evidence                                                          []pair
		Items                                                             []walkView
	}
	walkView struct{ Name, Path, Because string }
	// A link leads to where a check is told.
	link struct{ Anchor, Class, Text, Title, Verdict, Reason, Under string }
)

// requirement is one provision: its line in the matrix and all that its verdict rests on.
func (b *builder) requirement(r verdict.Requirement) requirementView {
	v := requirementView{ID: r.ID, Title: r.Title, Level: r.Level, Verdict: string(r.Verdict), Class: class(string(r.Verdict)), Sign: reports.Sign(r.Verdict),
		Anchor: b.anchor(r), Applies: applies(r), Recalled: r.Certainty == reports.Recalled, Waived: r.Waived,
		Recommended: r.Level == profiles.Recommended, Open: r.Verdict == verdict.Fail, Reviews: reviews(r)}
	for _, x := range r.Restrictions {
		v.Badges = append(v.Badges, b.restriction(r.Standard, x))
	}
	explained := reports.Explained(r)
	v.GivenUp = r.Verdict == verdict.Fail && !explained && len(r.Cases) > 0
	if r.Verdict != verdict.Fail || !explained {
		v.Reason = sentence(r.Reason) // else the units and the checks say the same
	}
	for _, c := range r.Cases {
		one := caseView{ID: c.ID, Kind: c.Kind, Needs: c.Needs}
		for _, u := range c.Units {
			one.Units = append(one.Units, b.unit(r, c, u))
		}
		v.Cases = append(v.Cases, one)
	}
	checks := slices.Clone(r.Checks)
	slices.SortStableFunc(checks, func(x, y verdict.Check) int {
		return cmp.Compare(slices.Index(worstFirst, x.Verdict), slices.Index(worstFirst, y.Verdict))
	})
	for _, c := range checks {
		switch {
		case b.told[c.ID].under == v.Anchor:
			v.Checks = append(v.Checks, b.check(c))
		case c.Verdict == verdict.Fail || c.Verdict == verdict.Inconclusive:
			one := b.link(r, c)
			one.Title = c.ID
			v.Elsewhere = append(v.Elsewhere, one)
		}
	}
	return v
}

// unit is one question and who answered it.
func (b *builder) unit(r verdict.Requirement, c verdict.Case, u verdict.Unit) unitView {
	v := unitView{ID: u.ID, Asks: u.Asks, Category: u.Category, Verdict: string(u.Verdict), Class: class(string(u.Verdict))}
	for _, id := range u.Checks {
		if i := slices.IndexFunc(r.Checks, func(k verdict.Check) bool { return k.ID == id }); i >= 0 {
			one := b.link(r, r.Checks[i])
			one.Title = id
			v.Checks = append(v.Checks, one)
		}
	}
	nothing := len(u.Checks) == 0 && u.Review == nil
	if u.Reason != r.Reason && (nothing || reports.Apart(r, u)) {
		v.Reason = u.Reason
	}
	if u.Review != nil && (u.Review.Said != nil || u.Verdict != verdict.NotApplicable) {
		v.Review = b.review(c, u)
	}
	return v
}

// review is a named person's answer. One that answers several units is quoted once.
func (b *builder) review(c verdict.Case, u verdict.Unit) *reviewView {
	said := u.Review.Said
	v := &reviewView{Said: said != nil, Reason: u.Review.Reason, Wants: wants(u.Review.Wants), Class: class(string(u.Review.Verdict)), Sign: reports.Sign(u.Review.Verdict)}
	if said == nil {
		return v
	}
	v.Answer, v.Name, v.Role, v.Organisation = answer(said.Answer), said.By.Name, said.By.Role, said.By.Organisation
	v.Date, v.Expires, v.Statement, v.Rows = said.Date, said.Expires, strings.TrimSpace(said.Statement), said.Rows
	if u.Review.Verdict != verdict.Inconclusive && len(said.Items) == 0 || said.Answer == review.Open {
		v.Reason = "" // it says no more than the answer
	}
	key, _ := json.Marshal(said) // plain text and lists: JSON has a form for each
	if first, quoted := b.said[string(key)]; quoted {
		v.See, v.SameUnit = first.anchor, first.name
		return v
	}
	v.Anchor = anchor(b.profile, "review", c.ID, u.ID)
	b.said[string(key)] = place{anchor: v.Anchor, name: c.ID + "." + u.ID}
	for _, e := range said.Evidence {
		v.Evidence = append(v.Evidence, pair{cmp.Or(e.Title, e.Document, e.File), "SHA-256 " + e.SHA256})
	}
	for _, i := range said.Items {
		v.Items = append(v.Items, walkView{i.Name, strings.Join(i.Path, " → "), i.Because})
	}
	return v
}

// answer is a reviewer's word as people write it.
func answer(a review.Answer) string {
	switch a {
	case review.NotMet:
		return "not met"
	case review.NotApplicable:
		return "not applicable"
	}
	return string(a)
}

func wants(c profiles.Class) string {
	switch c {
	case profiles.Document:
		return "somebody who reads documents"
	case profiles.Attestation:
		return "somebody who tries it by hand"
	}
	return string(c)
}
