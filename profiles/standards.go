package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"assay/profiles/strict"
)

// unitID is a letter, or two.
var unitID = regexp.MustCompile(`^[a-z]{1,2}$`)

// standard loads and checks one standard, with the checks that it names.
func (l *library) standard(id string) (*shelved, error) {
	if s, ok := l.standards[id]; ok {
		return s, nil
	}
	if !idPattern.MatchString(id) {
		return nil, fmt.Errorf("open standard %q: %w", id, fs.ErrNotExist)
	}
	file := "standards/" + id + ".yaml"
	b, err := readFile(l.fsys, file)
	if err != nil {
		return nil, err
	}
	doc, err := strict.Parse(file, b)
	if err != nil {
		return nil, err
	}
	std := &Standard{}
	if err := doc.Decode(std); err != nil {
		return nil, err
	}
	r := &standardReader{library: l, doc: doc, std: std, ids: map[string]bool{}, cases: map[string]bool{}}
	r.head(id)
	s := &shelved{standard: std, conditions: map[string]Condition{}, file: file, bytes: b}
	for i, q := range std.Requirements {
		if s.conditions[q.ID], err = r.requirement(at("requirements", i), q); err != nil {
			return nil, err
		}
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	l.standards[id] = s
	return s, nil
}

// A standardReader holds one standard against the rules.
type standardReader struct {
	*library
	doc        *strict.Doc
	std        *Standard
	ids, cases map[string]bool
}

// head checks what a standard says of itself.
func (r *standardReader) head(id string) {
	std := r.std
	line(r.doc, std.Assay, "standard/v2")
	filled(r.doc, "", "id", std.ID, "title", std.Title, "edition", std.Edition)
	if std.ID != "" && std.ID != id {
		r.doc.Complain("id", "is %q, but the file is called %s.yaml", std.ID, id)
	}
	if len(std.Requirements) == 0 {
		r.doc.Complain("requirements", "is empty: a standard without requirements asks nothing")
	}
	seen := map[string]bool{}
	once := func(key, what, id string) {
		if id != "" && seen[what+id] {
			r.doc.Complain(key, "there is another %s %q", what, id)
		}
		seen[what+id] = true
	}
	for i, s := range std.Sources {
		filled(r.doc, at("sources", i), "key", s.Key, "what", s.What)
		once(at("sources", i)+".key", "source", s.Key)
	}
	for i, p := range std.Parts {
		filled(r.doc, at("parts", i), "id", p.ID, "title", p.Title)
		once(at("parts", i)+".id", "part", p.ID)
	}
	for i, x := range std.Restrictions {
		filled(r.doc, at("restrictions", i), "id", x.ID, "effect", x.Effect)
		certain(r.doc, at("restrictions", i), x.Certainty)
		once(at("restrictions", i)+".id", "restriction", x.ID)
	}
}

func (r *standardReader) requirement(key string, q Requirement) (Condition, error) {
	doc := r.doc
	filled(doc, key, "id", q.ID, "title", q.Title)
	if q.ID != "" && r.ids[q.ID] {
		doc.Complain(key+".id", "there is another requirement %q", q.ID)
	}
	r.ids[q.ID] = true
	if q.Level != Mandatory && q.Level != Recommended {
		doc.Complain(key+".level", "is %q, wants mandatory or recommended", q.Level)
	}
	certain(doc, key, q.Certainty)
	if q.Applies != "" && q.Condition == "" {
		doc.Complain(key, "has applies but no condition: say the condition in words")
	}
	r.among(key+".source", "source", q.Source, len(r.std.Sources), func(i int) string { return r.std.Sources[i].Key })
	r.among(key+".parts", "part", q.Parts, len(r.std.Parts), func(i int) string { return r.std.Parts[i].ID })
	r.among(key+".restrictions", "restriction", q.Restrictions, len(r.std.Restrictions), func(i int) string { return r.std.Restrictions[i].ID })
	for i, c := range q.Cases {
		if err := r.testCase(at(key+".cases", i), c); err != nil {
			return Condition{}, err
		}
	}
	return r.condition(doc, key+".applies", q.Applies), nil
}

// among complains about each name that the head of the standard does not have.
func (r *standardReader) among(key, what string, names []string, n int, of func(int) string) {
	known := make([]string, n)
	for i := range known {
		known[i] = of(i)
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			r.doc.Complain(at(key, i), "the standard has no %s %q%s", what, name, strict.Suggest(name, known))
		}
	}
}

var kinds = []string{Conceptual, Functional, Completeness, Sufficiency}

func (r *standardReader) testCase(key string, c Case) error {
	doc := r.doc
	filled(doc, key, "id", c.ID)
	if c.ID != "" && r.cases[c.ID] {
		doc.Complain(key+".id", "there is another test case %q", c.ID)
	}
	r.cases[c.ID] = true
	if !slices.Contains(kinds, c.Kind) {
		doc.Complain(key+".kind", "is %q, wants conceptual, functional, completeness or sufficiency", c.Kind)
	}
	if c.Certainty != "" {
		certain(doc, key, c.Certainty)
	}
	for i, t := range c.IXIT {
		if !tableName.MatchString(t) {
			doc.Complain(at(key+".ixit", i), "%q is not an IXIT table: write e.g. 7-UpdMech", t)
		}
	}
	checkTree(doc, key, c)
	if len(c.Units) == 0 {
		doc.Complain(key, "has no units: a test case asks something")
	}
	seen := map[string]bool{}
	for i, u := range c.Units {
		where := at(key+".units", i)
		switch {
		case !unitID.MatchString(u.ID):
			doc.Complain(where+".id", "%q is not the id of a unit: write a letter", u.ID)
		case seen[u.ID]:
			doc.Complain(where+".id", "there is another unit %q", u.ID)
		}
		seen[u.ID] = true
		filled(doc, where, "asks", u.Asks)
		if u.Review != "" && u.Review != Document && u.Review != Attestation {
			doc.Complain(where+".review", "is %q, wants document or attestation", u.Review)
		}
		if err := r.named(where, u.Checks); err != nil {
			return err
		}
	}
	return nil
}

// named loads the families of the checks that a unit names.
func (r *standardReader) named(key string, ids []string) error {
	seen := map[string]bool{}
	for i, id := range ids {
		where := at(key+".checks", i)
		if !checkID.MatchString(id) {
			r.doc.Complain(where, "%q is not the id of a check: write family/name", id)
			continue
		}
		if seen[id] {
			r.doc.Complain(where, "%q stands here twice: keep one", id)
		}
		seen[id] = true
		f, err := r.family(family(id))
		if errors.Is(err, fs.ErrNotExist) {
			r.doc.Complain(where, "there is no check %q: checks/%s.yaml does not exist", id, family(id))
			continue
		}
		if err != nil {
			return err
		}
		if _, ok := f.checks[id]; !ok {
			r.doc.Complain(where, "there is no check %q%s", id, strict.Suggest(id, slices.Sorted(maps.Keys(f.checks))))
		}
	}
	return nil
}
