package profiles

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"assay/profiles/expr"
	"assay/profiles/strict"
)

// The levels of a requirement.
const (
	Mandatory   = "mandatory"
	Recommended = "recommended"
)

// dateLayout is how dates stand in files, e.g. 2027-01-31.
const dateLayout = time.DateOnly

var (
	checkID   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*$`)
	tableName = regexp.MustCompile(`^[1-9][0-9]?-[A-Z][A-Za-z]+$`)
)

func at(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// family is the part of a check's id that names its file.
func family(id string) string {
	f, _, _ := strings.Cut(id, "/")
	return f
}

// line refuses a file of another kind or of a later format.
func line(doc *strict.Doc, got, want string) {
	if got != want {
		doc.Complain("assay", "wants %q as the first line's value, found %q", want, got)
	}
}

// filled complains about each empty text among pairs of key and value.
func filled(doc *strict.Doc, under string, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if strings.TrimSpace(pairs[i+1]) == "" {
			doc.Complain(strings.TrimPrefix(under+"."+pairs[i], "."), "is missing or empty")
		}
	}
}

func checkProfile(doc *strict.Doc, p *Profile, id string) {
	line(doc, p.Assay, "profile/v1")
	filled(doc, "", "id", p.ID, "version", p.Version, "title", p.Title)
	switch {
	case p.ID != "" && !idPattern.MatchString(p.ID):
		doc.Complain("id", "%q is not an id: use lower case letters, digits, - and .", p.ID)
	case id != "" && p.ID != "" && p.ID != id:
		doc.Complain("id", "is %q, but the file is called %s.yaml", p.ID, id)
	}
	for i, c := range p.Evidence {
		if !slices.Contains(Classes, c) {
			doc.Complain(at("evidence", i), "is %q, wants observation, attestation or document", c)
		}
	}
	narrows := "reviews"
	if len(p.Evidence) > 0 {
		narrows = "evidence"
	}
	switch {
	case doc.Has("evidence") && len(p.Evidence) == 0:
		doc.Complain("evidence", "is empty: name classes, or remove the key to take all")
	case p.Reviews != "" && p.Reviews != AllReviews && p.Reviews != NoReviews:
		doc.Complain("reviews", "is %q, wants all or none", p.Reviews)
	case (len(p.Evidence) > 0 || p.Reviews == NoReviews) && strings.TrimSpace(p.Because) == "":
		doc.Complain(narrows, "leaves evidence out, but there is no because: say why, it is told with every statement")
	}
	if len(p.Standards) == 0 && p.Extends == "" {
		doc.Complain("standards", "is empty: a profile that selects nothing would call every device conformant")
	}
	if a := p.Approvals; a != nil && (a.Reviewer < 0 || a.Approver < 0 || a.Reviewer > mostApprovals || a.Approver > mostApprovals || a.Reviewer+a.Approver == 0) {
		doc.Complain("approvals", "wants how many sign-offs of a reviewer and of an approver, 0 to %d each and 1 in all", mostApprovals)
	}
	seen := map[string]bool{}
	for i, s := range p.Standards {
		key := at("standards", i)
		if doc.Has(key+".requirements") && len(s.Requirements) == 0 {
			doc.Complain(key+".requirements", "is empty: name requirements, or remove the key to take the whole standard")
		}
		if doc.Has(key+".parts") && len(s.Parts) == 0 {
			doc.Complain(key+".parts", "is empty: name parts, or remove the key to take the whole standard")
		}
		if seen[s.Standard] {
			doc.Complain(key+".standard", "%q is selected twice: join the two", s.Standard)
		}
		seen[s.Standard] = true
	}
}

func checkWaivers(doc *strict.Doc, set *Set) {
	var selected []string
	for _, r := range set.required {
		selected = append(selected, r.Address())
	}
	seen := map[string]bool{}
	for i, w := range set.Profile.Waivers {
		key := at("waivers", i)
		filled(doc, key, "approver", w.Approver, "reason", w.Reason, "risk", w.Risk, "profile", w.Profile)
		if _, err := w.LastDay(); err != nil {
			doc.Complain(key+".expires", "%q is not a date: write the last day it holds, e.g. 2027-01-31", w.Expires)
		}
		switch {
		case !slices.Contains(selected, w.Requirement):
			doc.Complain(key+".requirement", "the profile selects no requirement %q: write standard/id%s", w.Requirement, strict.Suggest(w.Requirement, selected))
		case seen[w.Requirement]:
			doc.Complain(key+".requirement", "%q is waived twice: keep one", w.Requirement)
		}
		seen[w.Requirement] = true
	}
}

// LastDay is the last day on which the waiver holds.
func (w Waiver) LastDay() (time.Time, error) { return time.Parse(dateLayout, w.Expires) }

// certain refuses a certainty that is not one of the two.
func certain(doc *strict.Doc, key, c string) {
	if c != "verified" && c != "recalled" {
		doc.Complain(strings.TrimPrefix(key+".certainty", "."), "is %q, wants verified or recalled", c)
	}
}

// condition compiles applies; empty means always.
func (l *library) condition(doc *strict.Doc, key, src string) Condition {
	if src == "" {
		return Condition{}
	}
	p, err := l.features.Condition(src)
	if err != nil {
		doc.Complain(key, "%v", err)
	}
	return Condition{program: p, names: l.names}
}

func (l *library) env(s Schema) (*expr.Env, error) {
	if e, ok := l.envs[s.Probe]; ok {
		return e, nil
	}
	declared, err := declarations()
	if err != nil {
		return nil, err
	}
	e, err := expr.Check(s.Facts, declared)
	if err != nil {
		return nil, err
	}
	l.envs[s.Probe] = e
	return e, nil
}
