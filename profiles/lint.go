package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Lint loads every profile of a file system laid out like Embedded, every standard
// and every check, and tells what is broken or used by nothing.
func Lint(fsys fs.FS, schemas map[string]Schema) error {
	var problems []error
	ids, err := List(fsys)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := Load(fsys, id, schemas); err != nil {
			problems = append(problems, err)
		}
	}
	l := newLoader(fsys, schemas)
	if err := l.loadFeatures(); err != nil {
		return errors.Join(append(problems, err)...)
	}
	used := map[string]bool{}
	for _, id := range l.standardIDs() {
		std, _, err := l.standard(id)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, r := range std.Requirements {
			for _, c := range r.Checks {
				used[c] = true
			}
		}
	}
	asked := map[string]bool{}
	files, err := fs.Glob(fsys, "checks/*.yaml")
	if err != nil {
		return fmt.Errorf("list checks: %w", err)
	}
	for _, file := range files {
		checks, err := l.family(strings.TrimSuffix(strings.TrimPrefix(file, "checks/"), ".yaml"))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(checks)) {
			asked[checks[id].Probe] = true
			if !used[id] {
				problems = append(problems, fmt.Errorf("%s: check %s is used by no standard: name it in a requirement or remove it", file, id))
			}
		}
	}
	for _, probe := range slices.Sorted(maps.Keys(schemas)) {
		if !asked[probe] {
			problems = append(problems, fmt.Errorf("probe %s is asked by no check: write one in checks/", probe))
		}
	}
	return dedupe(problems)
}

// dedupe joins problems, each text once: a broken check breaks every profile that uses it.
func dedupe(problems []error) error {
	seen := map[string]bool{}
	var out []error
	for _, p := range problems {
		if !seen[p.Error()] {
			seen[p.Error()] = true
			out = append(out, p)
		}
	}
	return errors.Join(out...)
}
