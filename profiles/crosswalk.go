package profiles

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"assay/profiles/strict"
)

const crosswalkFile = "crosswalk.yaml"

// A Crosswalk tells which requirements of other standards are about the same thing as one of the
// leading standard's. It is a judgement, not an official table, and no verdict rests on it.
type Crosswalk struct {
	Assay     string `yaml:"assay" json:"-"` // "crosswalk/v1"
	Basis     string `yaml:"basis" json:"basis"`
	Certainty string `yaml:"certainty" json:"certainty"`
	Rows      []Link `yaml:"rows" json:"rows"`
}

// A Link is one requirement and its counterparts.
type Link struct {
	From      string              `yaml:"from" json:"from"`                     // standard/id
	Closeness string              `yaml:"closeness" json:"closeness"`           // close, partial, related or none
	To        map[string][]string `yaml:"to,omitempty" json:"to,omitempty"`     // standard -> ids
	Note      string              `yaml:"note,omitempty" json:"note,omitempty"` // what the counterparts ask beside it
}

var closenesses = []string{"close", "partial", "related", "none"}

// ReadCrosswalk reads the crosswalk of a file system laid out like Embedded.
func ReadCrosswalk(fsys fs.FS, schemas map[string]Schema) (*Crosswalk, error) {
	l, err := newLibrary(fsys, schemas, false)
	if err != nil {
		return nil, err
	}
	return l.crosswalk()
}

// crosswalk is nil where the file system has none.
func (l *library) crosswalk() (*Crosswalk, error) {
	b, err := readFile(l.fsys, crosswalkFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	doc, err := strict.Parse(crosswalkFile, b)
	if err != nil {
		return nil, err
	}
	c := &Crosswalk{}
	if err := doc.Decode(c); err != nil {
		return nil, err
	}
	line(doc, c.Assay, "crosswalk/v1")
	filled(doc, "", "basis", c.Basis)
	certain(doc, "", c.Certainty)
	seen := map[string]bool{}
	for i, r := range c.Rows {
		key := at("rows", i)
		if seen[r.From] {
			doc.Complain(key+".from", "there is another row from %q: join the two", r.From)
		}
		seen[r.From] = true
		if err := l.from(doc, key+".from", r.From); err != nil {
			return nil, err
		}
		if !slices.Contains(closenesses, r.Closeness) {
			doc.Complain(key+".closeness", "is %q, wants close, partial, related or none", r.Closeness)
		}
		for _, to := range slices.Sorted(maps.Keys(r.To)) {
			where := key + ".to." + to
			s, err := l.end(doc, where, to)
			if err != nil {
				return nil, err
			}
			for j, id := range r.To[to] {
				s.has(doc, at(where, j), id)
			}
		}
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// from checks the requirement that a row begins with.
func (l *library) from(doc *strict.Doc, key, address string) error {
	standard, id, whole := strings.Cut(address, "/")
	if !whole {
		doc.Complain(key, "%q is not the address of a requirement: write standard/id", address)
		return nil
	}
	s, err := l.end(doc, key, standard)
	s.has(doc, key, id)
	return err
}

// end loads the standard at one end of a row; nil where there is none, which it complains about. A
// standard that cannot be read tells so itself.
func (l *library) end(doc *strict.Doc, key, id string) (*shelved, error) {
	s, err := l.standard(id)
	if errors.Is(err, fs.ErrNotExist) {
		doc.Complain(key, "there is no standard %q%s", id, strict.Suggest(id, l.standardIDs()))
		return nil, nil
	}
	return s, err
}

// has complains about a requirement that the standard does not have.
func (s *shelved) has(doc *strict.Doc, key, id string) {
	if s == nil {
		return
	}
	if _, ok := s.conditions[id]; !ok {
		doc.Complain(key, "%s has no requirement %q%s", s.standard.ID, id, strict.Suggest(id, s.ids()))
	}
}
