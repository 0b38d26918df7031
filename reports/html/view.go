package html

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"assay/probes"
	"assay/reports"
	"assay/reports/verdict"
)

// The page's own shapes: words only, nothing left to compute in the template.
type (
	pageView struct {
		Run       string
		Statement string
		Device    reports.Device
		Style     template.CSS
		Profiles  []profileView
		Warnings  []string
		Timeline  template.HTML
		Tests     []provenView
		Record    []pair
	}
	profileView struct {
		ID, Version, Title, Conformity, Class, Reason, Omitted, PartOnly string
		Left                                                             []pair
		Waivers                                                          []waiverView
		Standards                                                        []standardView
	}
	waiverView struct{ Word, Class, Requirement, Anchor, Verdict, Reason, Risk string }
	pair       struct{ Name, Value string }
)

// A builder makes the views of one page and remembers what it has told already.
type builder struct {
	r       *reports.Report
	seen    map[string]probes.Observation
	shown   map[string]bool  // packets of one observation are printed once
	told    map[string]place // check -> the requirement that tells it
	said    map[string]place // review, as JSON -> the unit that quotes it
	profile string
}

// A place is where on the page something is told.
type place struct{ anchor, under, name string }

// reasonMost is how much of a statement's reason is printed: of fifty ids the matrix tells more.
const reasonMost = 240

func view(r *reports.Report) pageView {
	v := pageView{Run: r.Run, Device: r.Device, Style: template.CSS(style), Warnings: r.Warnings(), Timeline: timeline(r), Tests: proven(r), Record: record(r)}
	seen := map[string]probes.Observation{}
	for _, o := range r.Observations {
		seen[o.ID] = o
	}
	b := builder{r: r, seen: seen, shown: map[string]bool{}}
	for _, p := range r.Profiles {
		b.told, b.said, b.profile = map[string]place{}, map[string]place{}, p.ID
		v.Profiles = append(v.Profiles, b.statement(p))
		v.Statement = string(p.Conformity)
	}
	return v
}

// statement is one profile: what it comes to, and everything that it rests on.
func (b *builder) statement(p verdict.Result) profileView {
	v := profileView{ID: p.ID, Version: p.Version, Title: p.Title, Conformity: string(p.Conformity), Class: class(string(p.Conformity)), Reason: short(sentence(p.Reason), reasonMost)}
	if left := p.Omitted.String(); left != "" {
		v.Omitted, v.PartOnly = sentence(left), sentence(reports.PartOnly)
	}
	for _, x := range p.Omitted.Exclusions {
		v.Left = append(v.Left, pair{x.Requirement + x.Check, x.Because})
	}
	for _, id := range p.Omitted.Requirements {
		v.Left = append(v.Left, pair{id, "none of its questions is asked"})
	}
	for _, w := range p.Waivers {
		one := waiverView{"counts", "pass", w.Requirement, "", w.Reason, w.Waiver.Reason, w.Risk}
		if !w.Counts {
			one.Word, one.Class = "does not count", "na"
		}
		standard, id, _ := strings.Cut(w.Requirement, "/")
		one.Anchor = anchor(p.ID, standard, id)
		v.Waivers = append(v.Waivers, one)
	}
	groups := reports.ByStandard(p)
	b.places(groups)
	for _, g := range groups {
		v.Standards = append(v.Standards, b.standard(g))
	}
	return v
}

// places settles which requirement tells a check: the first for which it was asked.
func (b *builder) places(groups []reports.Group) {
	asked := func(c verdict.Check) bool { return c.Verdict != verdict.NotApplicable }
	for _, pick := range []func(verdict.Check) bool{asked, func(verdict.Check) bool { return true }} {
		for _, g := range groups {
			for _, r := range g.Requirements {
				for _, c := range r.Checks {
					if _, told := b.told[c.ID]; !told && pick(c) {
						b.told[c.ID] = place{anchor(b.profile, "check", c.ID), b.anchor(r), r.ID}
					}
				}
			}
		}
	}
}

func (b *builder) anchor(r verdict.Requirement) string { return anchor(b.profile, r.Standard, r.ID) }

// sentence gives a reason a capital and a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 || first == utf8.RuneError {
		return s
	}
	s = strings.ToUpper(string(first)) + s[n:]
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// record is the fine print: who, with what, when.
func record(r *reports.Report) []pair {
	out := []pair{
		{"Run", r.Run},
	}
	for _, u := range r.Specimens() {
		out = append(out, pair{"Unit", strings.Trim(fmt.Sprintf("%s, serial %s, MAC %s", u.ID, u.Serial, u.MAC), ", ")})
	}
	out = append(out, pair{"Started", r.Started.UTC().Format(time.RFC3339)})
	if r.Ended != nil {
		out = append(out, pair{"Ended", r.Ended.UTC().Format(time.RFC3339)}, pair{"Outcome", string(r.Outcome)})
	}
	for _, p := range r.Profiles {
		out = append(out, pair{"Judged by", fmt.Sprintf("profile %s version %s, as of %s", p.ID, p.Version, cmp.Or(p.Judged, "the run's day"))})
	}
	if r.Lab != nil {
		out = append(out, pair{"Laboratory", strings.Trim(strings.Join([]string{r.Lab.Name, r.Lab.Address, r.Lab.Accreditation}, ", "), ", ")})
	}
	if r.Operator != "" {
		out = append(out, pair{"Operator", r.Operator})
	}
	if r.Received != "" || r.State != "" {
		out = append(out, pair{"Received", strings.TrimSpace(r.Received + " " + r.State)})
	}
	out = append(out,
		pair{"Capture", fmt.Sprintf("%d frames, %d lost", r.Frames, r.Dropped)},
		pair{"Signed with", r.SignedWith()},
		pair{"Tool", fmt.Sprintf("assay %s, %s, %s/%s, SHA-256 %s", r.Tool.Version, r.Tool.Go, r.Tool.OS, r.Tool.Arch, r.Tool.SHA256)},
	)
	for _, f := range r.Since() {
		out = append(out, pair{f.Name, f.Value})
	}
	return slices.Concat(out, bench(r.Bench))
}
