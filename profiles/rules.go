package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	if len(p.Standards) == 0 {
		doc.Complain("standards", "is empty: a profile that selects nothing would call every device conformant")
	}
	seen := map[string]bool{}
	for i, s := range p.Standards {
		key := at("standards", i)
		if doc.Has(key+".requirements") && len(s.Requirements) == 0 {
			doc.Complain(key+".requirements", "is empty: name requirements, or remove the key to take the whole standard")
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

// standard loads and checks one standard, with the checks that it names.
func (l *loader) standard(id string) (*Standard, map[string]Condition, error) {
	if !idPattern.MatchString(id) {
		return nil, nil, fmt.Errorf("open standard %q: %w", id, fs.ErrNotExist)
	}
	file := "standards/" + id + ".yaml"
	b, err := readFile(l.fsys, file)
	if err != nil {
		return nil, nil, err
	}
	doc, err := strict.Parse(file, b)
	if err != nil {
		return nil, nil, err
	}
	std := &Standard{}
	if err := doc.Decode(std); err != nil {
		return nil, nil, err
	}
	line(doc, std.Assay, "standard/v1")
	filled(doc, "", "id", std.ID, "title", std.Title, "edition", std.Edition)
	if std.ID != "" && std.ID != id {
		doc.Complain("id", "is %q, but the file is called %s.yaml", std.ID, id)
	}
	if len(std.Requirements) == 0 {
		doc.Complain("requirements", "is empty: a standard without requirements asks nothing")
	}
	conditions := map[string]Condition{}
	seen := map[string]bool{}
	for i, r := range std.Requirements {
		key := at("requirements", i)
		if r.ID != "" && seen[r.ID] {
			doc.Complain(key+".id", "there is another requirement %q", r.ID)
		}
		seen[r.ID] = true
		conditions[r.ID] = l.requirement(doc, key, r)
		if err := l.named(doc, key, r.Checks); err != nil {
			return nil, nil, err
		}
	}
	l.set.files[file] = b
	return std, conditions, doc.Err()
}

func (l *loader) requirement(doc *strict.Doc, key string, r Requirement) Condition {
	filled(doc, key, "id", r.ID, "title", r.Title)
	if r.Level != Mandatory && r.Level != Recommended {
		doc.Complain(key+".level", "is %q, wants mandatory or recommended", r.Level)
	}
	if c := r.Certainty; c != "" && c != "verified" && c != "recalled" {
		doc.Complain(key+".certainty", "is %q, wants verified or recalled", c)
	}
	if r.Applies != "" && r.Condition == "" {
		doc.Complain(key, "has applies but no condition: say the condition in words")
	}
	return l.condition(doc, key+".applies", r.Applies)
}

// named loads the families of the checks that a requirement names.
func (l *loader) named(doc *strict.Doc, key string, ids []string) error {
	seen := map[string]bool{}
	for i, id := range ids {
		where := at(key+".checks", i)
		if !checkID.MatchString(id) {
			doc.Complain(where, "%q is not the id of a check: write family/name", id)
			continue
		}
		if seen[id] {
			doc.Complain(where, "%q stands here twice: keep one", id)
		}
		seen[id] = true
		checks, err := l.family(family(id))
		if errors.Is(err, fs.ErrNotExist) {
			doc.Complain(where, "there is no check %q: checks/%s.yaml does not exist", id, family(id))
			continue
		}
		if err != nil {
			return err
		}
		if _, ok := checks[id]; !ok {
			doc.Complain(where, "there is no check %q%s", id, strict.Suggest(id, slices.Collect(maps.Keys(checks))))
		}
	}
	return nil
}

// condition compiles applies; empty means always.
func (l *loader) condition(doc *strict.Doc, key, src string) Condition {
	if src == "" {
		return Condition{}
	}
	p, err := l.features.Condition(src)
	if err != nil {
		doc.Complain(key, "%v", err)
	}
	return Condition{program: p, names: l.names}
}

func (l *loader) env(s Schema) (*expr.Env, error) {
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
