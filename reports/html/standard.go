package html

import (
	"fmt"
	"strings"

	"assay/profiles"
	"assay/reports"
	"assay/reports/verdict"
)

// From how many requirements on a standard is large: a map of them stands before its matrix, and
// fewer checks have a square of their own in it.
const (
	large          = 20
	cellsMost      = 10
	cellsMostLarge = 6
)

type (
	standardView struct {
		ID, Title, Edition, Tests, Anchor, Count string
		Shares                                   []share
		Reviews                                  *reviewsView
		Restrictions                             []restrictionView
		Presumption, Facts                       []factView
		Map, Requirements                        []requirementView
		Recalled                                 bool
	}
	// A share is one part of a bar.
	share struct {
		N                 int
		Word, Class, Sign string
	}
	reviewsView struct {
		Answered, Wanted int
		Parts            []share
	}
	restrictionView struct {
		ID, Anchor, Touches, Words string
		Recalled                   bool
	}
	factView struct {
		Kind, Says, AsOf, Certainty, Source string
		None, Recalled                      bool // none is an answer
	}
)

// standard is the verdicts by one standard, with what limits their use.
func (b *builder) standard(g reports.Group) standardView {
	v := standardView{ID: g.ID, Title: g.Title, Edition: g.Edition, Tests: g.Tests, Anchor: anchor(b.profile, "by", g.ID), Shares: shares(g.Requirements),
		Count: fmt.Sprintf("%d requirements", len(g.Requirements)), Reviews: reviews(g.Requirements...)}
	if v.Title == "" {
		v.Title = g.ID
	}
	if len(g.Requirements) == 1 {
		v.Count = "1 requirement"
	}
	for _, l := range g.Limits() {
		one := b.restriction(g.ID, l.Restriction)
		one.Touches = l.Touches()
		v.Restrictions = append(v.Restrictions, one)
		v.Recalled = v.Recalled || one.Recalled
	}
	for _, f := range g.Register {
		says, none := strings.CutPrefix(f.Says, "none: ")
		one := factView{f.Kind, says, f.AsOf, f.Certainty, f.Source, none, f.Certainty == reports.Recalled}
		v.Recalled = v.Recalled || one.Recalled
		if f.Kind == profiles.Presumption {
			v.Presumption = append(v.Presumption, one)
		} else {
			v.Facts = append(v.Facts, one)
		}
	}
	most := cellsMost
	if len(g.Requirements) >= large {
		most = cellsMostLarge
	}
	for _, r := range g.Requirements {
		one := b.requirement(r)
		one.Cells = b.cells(r, most)
		v.Requirements = append(v.Requirements, one)
		v.Recalled = v.Recalled || one.Recalled
	}
	if len(v.Requirements) >= large {
		v.Map = v.Requirements
	}
	return v
}

func (b *builder) restriction(standard string, x profiles.Restriction) restrictionView {
	return restrictionView{ID: x.ID, Anchor: anchor(b.profile, "limit", standard, x.ID), Words: reports.Limit{Restriction: x}.Words(), Recalled: x.Certainty == reports.Recalled}
}

// shares are the parts of the bar of verdicts, the bad ones first: they are what a reader looks for.
func shares(list []verdict.Requirement) []share {
	n := map[verdict.Verdict]int{}
	for _, r := range list {
		n[r.Verdict]++
	}
	var out []share
	for _, v := range worstFirst {
		if n[v] > 0 {
			out = append(out, share{n[v], string(v), class(string(v)), reports.Sign(v)})
		}
	}
	return out
}

var worstFirst = []verdict.Verdict{verdict.Fail, verdict.Inconclusive, verdict.Pass, verdict.NotApplicable}

// reviews is the bar of named persons' answers; nil where none is wanted.
func reviews(list ...verdict.Requirement) *reviewsView {
	a := reports.Reviews(list...)
	if a.Wanted == 0 {
		return nil
	}
	v := &reviewsView{Answered: a.Given(), Wanted: a.Wanted}
	for _, s := range []share{{a.NotMet, "", "fail", ""}, {a.Met, "", "pass", ""}, {a.NotApplicable, "", "na", ""}, {a.Wanted - a.Given(), "", "none", ""}} {
		if s.N > 0 {
			v.Parts = append(v.Parts, s)
		}
	}
	return v
}

// cells are a requirement's squares in the matrix: one a check, or one a verdict where they are many.
func (b *builder) cells(r verdict.Requirement, most int) []link {
	var out []link
	if len(r.Checks) <= most {
		for _, c := range r.Checks {
			out = append(out, b.link(r, c))
		}
		return out
	}
	n := map[verdict.Verdict]int{}
	for _, c := range r.Checks {
		n[c.Verdict]++
	}
	for _, v := range worstFirst {
		if n[v] > 0 {
			out = append(out, link{Anchor: b.anchor(r), Class: class(string(v)), Text: fmt.Sprint(n[v], reports.Sign(v)), Title: fmt.Sprintf("%d checks: %s", n[v], v)})
		}
	}
	return out
}

// link leads to where a check is told.
func (b *builder) link(r verdict.Requirement, c verdict.Check) link {
	l := link{Class: class(string(c.Verdict)), Text: reports.Sign(c.Verdict), Title: c.ID + ": " + string(c.Verdict), Verdict: string(c.Verdict), Reason: c.Reason}
	l.Anchor, l.Under = b.told[c.ID].anchor, b.told[c.ID].name
	if c.Verdict == verdict.NotApplicable { // elsewhere it may have been asked
		l.Anchor = b.anchor(r)
	}
	return l
}

// applies is the fine print of a requirement.
func applies(r verdict.Requirement) string {
	var parts []string
	if r.Status != "" {
		parts = append(parts, "In the standard: "+strings.TrimSpace(r.Status)+".")
	}
	if r.Condition != "" {
		parts = append(parts, "Applies where: "+strings.TrimSpace(r.Condition)+".")
	}
	return strings.Join(parts, " ")
}
