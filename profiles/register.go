package profiles

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"time"

	"assay/profiles/strict"
)

const registerFile = "register.yaml"

// A DatedFact is what was true of a standard on a day: whether it gives presumption of conformity, who
// recognises it, when something applies. "None" is an answer, and every answer has its day.
type DatedFact struct {
	ID        string   `yaml:"id" json:"id"`
	Kind      string   `yaml:"kind" json:"kind"` // presumption, date, edition, recognition or law
	Standards []string `yaml:"standards" json:"standards"`
	Says      string   `yaml:"says" json:"says"`
	AsOf      string   `yaml:"as_of" json:"as_of"` // 2026-10-02
	Certainty string   `yaml:"certainty" json:"certainty"`
	Source    string   `yaml:"source,omitempty" json:"source,omitempty"`
}

// Presumption is the kind of fact that tells what conformity to a standard is presumed to show.
const Presumption = "presumption"

var factKinds = []string{Presumption, "date", "edition", "recognition", "law"}

var factID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

type registerYAML struct {
	Assay string      `yaml:"assay"`
	Facts []DatedFact `yaml:"facts"`
}

// register reads the dated facts; a file system may have none.
func (l *library) register() ([]DatedFact, error) {
	if l.dated != nil {
		return l.dated, nil
	}
	b, err := readFile(l.fsys, registerFile)
	if errors.Is(err, fs.ErrNotExist) {
		l.dated = []DatedFact{}
		return l.dated, nil
	}
	if err != nil {
		return nil, err
	}
	doc, err := strict.Parse(registerFile, b)
	if err != nil {
		return nil, err
	}
	var r registerYAML
	if err := doc.Decode(&r); err != nil {
		return nil, err
	}
	line(doc, r.Assay, "register/v1")
	seen := map[string]bool{}
	for i, f := range r.Facts {
		key := at("facts", i)
		switch {
		case !factID.MatchString(f.ID):
			doc.Complain(key+".id", "%q is not the id of a fact: use lower case letters, digits and hyphens", f.ID)
		case seen[f.ID]:
			doc.Complain(key+".id", "there is another fact %q", f.ID)
		}
		seen[f.ID] = true
		filled(doc, key, "says", f.Says)
		if !slices.Contains(factKinds, f.Kind) {
			doc.Complain(key+".kind", "is %q, wants presumption, date, edition, recognition or law", f.Kind)
		}
		if len(f.Standards) == 0 {
			doc.Complain(key, "names no standards: a fact is about at least one")
		}
		if _, err := time.Parse(dateLayout, f.AsOf); err != nil {
			doc.Complain(key+".as_of", "%q is not a date: write the day on which it was looked up, e.g. 2026-10-02", f.AsOf)
		}
		certain(doc, key, f.Certainty)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	l.dated, l.datedBytes = append([]DatedFact{}, r.Facts...), b
	return l.dated, nil
}
