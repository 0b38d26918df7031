package profiles

import (
	"fmt"
	"io/fs"
	"strings"
)

// Standards reads every standard of a file system laid out like Embedded, whole.
func Standards(fsys fs.FS, schemas map[string]Schema) ([]*Standard, error) {
	l, err := newLibrary(fsys, schemas, false)
	if err != nil {
		return nil, err
	}
	return l.all()
}

// all reads every standard.
func (l *library) all() ([]*Standard, error) {
	var out []*Standard
	for _, id := range l.standardIDs() {
		s, err := l.standard(id)
		if err != nil {
			return nil, err
		}
		out = append(out, s.standard)
	}
	return out, nil
}

// Register reads the dated facts of a file system laid out like Embedded.
func Register(fsys fs.FS, schemas map[string]Schema) ([]DatedFact, error) {
	l, err := newLibrary(fsys, schemas, false)
	if err != nil {
		return nil, err
	}
	return l.register()
}

// Coverage counts by whom the units of a standard are answered.
type Coverage struct {
	Requirements int `json:"requirements"`
	Mandatory    int `json:"mandatory"`
	Recommended  int `json:"recommended"`
	Cases        int `json:"cases"`
	Units        int `json:"units"`

	Checked     int `json:"checked"`       // by checks alone
	Both        int `json:"both"`          // by checks, and by a reviewer for what they cannot see
	Document    int `json:"document"`      // by a reviewer who reads
	Attestation int `json:"attestation"`   // by a reviewer who tries it by hand
	Nothing     int `json:"nothing"`       // by nothing yet
	Uncased     int `json:"without_cases"` // requirements without any test case
}

// Coverage counts a standard's, or the part of it that a set has selected.
func (s *Standard) Coverage() Coverage {
	c := Coverage{Requirements: len(s.Requirements)}
	for _, r := range s.Requirements {
		if r.Level == Mandatory {
			c.Mandatory++
		} else {
			c.Recommended++
		}
		if len(r.Cases) == 0 {
			c.Uncased++
		}
		c.Cases += len(r.Cases)
		for _, one := range r.Cases {
			for _, u := range one.Units {
				c.add(u)
			}
		}
	}
	return c
}

func (c *Coverage) add(u Unit) {
	c.Units++
	switch {
	case len(u.Checks) > 0 && u.Review != "":
		c.Both++
	case len(u.Checks) > 0:
		c.Checked++
	case u.Review == Document:
		c.Document++
	case u.Review == Attestation:
		c.Attestation++
	default:
		c.Nothing++
	}
}

// ByPart counts the requirements of each part.
func (s *Standard) ByPart() map[string]int {
	out := map[string]int{}
	for _, r := range s.Requirements {
		for _, p := range r.Parts {
			out[p]++
		}
	}
	return out
}

// String words what was left out, for people; empty where nothing was.
func (o Omitted) String() string {
	if o.None() {
		return ""
	}
	var left []string
	if o.Taken < o.Total {
		left = append(left, fmt.Sprintf("%d of %s %s asked", o.Taken, requirements(o.Total), are(o.Taken)))
	}
	if o.Units > 0 {
		left = append(left, fmt.Sprintf("%d of %d questions %s left out", o.Units, o.Of, are(o.Units)))
	}
	if o.Narrowed > 0 && o.Units > 0 {
		left = append(left, fmt.Sprintf("%d more %s asked in part", o.Narrowed, are(o.Narrowed)))
	} else if o.Narrowed > 0 {
		left = append(left, fmt.Sprintf("%d of %d questions %s asked in part", o.Narrowed, o.Of, are(o.Narrowed)))
	}
	if n := len(o.Requirements); n > 0 {
		left = append(left, "with them "+requirements(n))
	}
	s := strings.Join(left, ", ")
	var named, checks int
	for _, x := range o.Exclusions {
		if x.Check != "" {
			checks++
		} else {
			named++
		}
	}
	if named > 0 {
		s = joined(s, fmt.Sprintf("%s %s left out by name", requirements(named), are(named)))
	}
	if checks > 0 {
		s = joined(s, fmt.Sprintf("%s left out by name", counted(checks, "check")))
	}
	if o.Because != "" {
		s += " (" + o.Because + ")"
	}
	return "not the whole standard: " + s
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// joined sets two parts of a sentence apart.
func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}

func requirements(n int) string {
	if n == 1 {
		return "1 requirement"
	}
	return fmt.Sprintf("%d requirements", n)
}
