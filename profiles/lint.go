package profiles

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"assay/profiles/strict"
)

// Lint loads every profile of a file system laid out like Embedded, every standard and every
// check, the register and the crosswalk, and tells what is broken or used by nothing.
func Lint(fsys fs.FS, schemas map[string]Schema) error {
	lib, err := newLibrary(fsys, schemas, false)
	if err != nil {
		return err
	}
	l := &linter{library: lib, told: map[string]bool{}, used: map[string]bool{}, asked: map[string]bool{}}
	for _, id := range List(fsys) {
		file, b, err := profileFile(fsys, id)
		if err == nil {
			_, err = lib.load(origin{file, b, false}, id)
		}
		l.tell(err)
	}
	l.standards()
	l.checks()
	for _, probe := range slices.Sorted(maps.Keys(schemas)) {
		if !l.asked[probe] {
			l.tell(fmt.Errorf("probe %s is asked by no check: write one in checks/", probe))
		}
	}
	l.dates()
	_, err = lib.crosswalk()
	l.tell(err)
	if len(l.problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(l.problems, "\n"))
}

type linter struct {
	*library
	problems    []string
	told        map[string]bool // each text once: a broken check breaks every profile that uses it
	used, asked map[string]bool // checks by a standard, probes by a check
}

func (l *linter) tell(err error) {
	if err != nil && !l.told[err.Error()] {
		l.told[err.Error()] = true
		l.problems = append(l.problems, err.Error())
	}
}

func (l *linter) standards() {
	for _, id := range l.standardIDs() {
		s, err := l.standard(id)
		l.tell(err)
		if err != nil {
			continue
		}
		for _, r := range s.standard.Requirements {
			for _, c := range r.Checks() {
				l.used[c] = true
			}
		}
		for _, p := range s.standard.Parts {
			if !slices.ContainsFunc(s.standard.Requirements, func(r Requirement) bool { return slices.Contains(r.Parts, p.ID) }) {
				l.tell(fmt.Errorf("%s: no requirement is of part %q: name it in one or remove it", s.file, p.ID))
			}
		}
	}
}

func (l *linter) checks() {
	for _, name := range ids(l.fsys, "checks") {
		f, err := l.family(name)
		l.tell(err)
		if err != nil {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(f.checks)) {
			l.asked[f.checks[id].Probe] = true
			if !l.used[id] {
				l.tell(fmt.Errorf("%s: check %s is used by no standard: name it in a unit or remove it", f.file, id))
			}
		}
	}
}

// dates holds the register against the standards: each has its word on presumption.
func (l *linter) dates() {
	facts, err := l.register()
	l.tell(err)
	if len(facts) == 0 {
		return
	}
	spoken := map[string]bool{}
	known := l.standardIDs()
	for _, f := range facts {
		for _, s := range f.Standards {
			if !slices.Contains(known, s) {
				l.tell(fmt.Errorf("%s: fact %s speaks of %q, and there is no such standard%s", registerFile, f.ID, s, strict.Suggest(s, known)))
			}
			spoken[s] = spoken[s] || f.Kind == Presumption
		}
	}
	for _, s := range known {
		if !spoken[s] {
			l.tell(fmt.Errorf("%s: no presumption is registered for %s: write what conformity to it is presumed to show, or none", registerFile, s))
		}
	}
}
