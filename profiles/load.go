package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"assay/profiles/strict"
)

// schemasFile is the name under which a set's files carry the schemas.
const schemasFile = "schemas.json"

// ErrNoProfile says that there is no profile of that name.
var ErrNoProfile = errors.New("no such profile")

// idPattern keeps ids usable as file names on every system.
var idPattern = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)

// List names the profiles in a file system laid out like Embedded, sorted.
func List(fsys fs.FS) []string { return ids(fsys, "profiles") }

// Load reads one profile and all it selects from a file system laid out like
// Embedded: profiles/<id>.yaml, standards/<id>.yaml, checks/<family>.yaml, features.yaml, register.yaml.
// What it lacks of features comes from Embedded.
func Load(fsys fs.FS, id string, schemas map[string]Schema) (*Set, error) {
	sets, err := LoadEach(fsys, []string{id}, schemas)
	if err != nil {
		return nil, err
	}
	return sets[0], nil
}

// LoadEach reads several profiles; what they share is read and compiled once.
func LoadEach(fsys fs.FS, ids []string, schemas map[string]Schema) ([]*Set, error) {
	lib, err := newLibrary(fsys, schemas, false)
	if err != nil {
		return nil, err
	}
	return lib.each(ids)
}

// each reads several profiles by their ids.
func (l *library) each(ids []string) ([]*Set, error) {
	var out []*Set
	for _, id := range ids {
		file, b, err := profileFile(l.fsys, id)
		if err != nil {
			return nil, err
		}
		set, err := l.load(origin{file, b, false}, id)
		if err != nil {
			return nil, err
		}
		out = append(out, set)
	}
	return out, nil
}

// profileFile reads a profile by its id.
func profileFile(fsys fs.FS, id string) (file string, b []byte, err error) {
	if !idPattern.MatchString(id) {
		return "", nil, fmt.Errorf("load profile %q: %w: an id has lower case letters, digits, hyphens and dots", id, ErrNoProfile)
	}
	file = "profiles/" + id + ".yaml"
	b, err = readFile(fsys, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, fmt.Errorf("load profile %q: %w%s", id, ErrNoProfile, strict.Suggest(id, List(fsys)))
	case err != nil:
		return "", nil, fmt.Errorf("load profile %q: %w", id, err)
	}
	return file, b, nil
}

// LoadFile reads a profile of the user's own, which selects from the embedded standards.
func LoadFile(file string, schemas map[string]Schema) (*Set, error) {
	b, err := readOwn(file)
	if err != nil {
		return nil, fmt.Errorf("load profile: %w", err) // which names the file
	}
	lib, err := newLibrary(embedded, schemas, false)
	if err != nil {
		return nil, err
	}
	return lib.load(origin{file, b, true}, "")
}

// LoadPackage loads what Set.Files returned, perhaps years ago: nothing but these
// files is read, so that the same set comes out.
func LoadPackage(files map[string][]byte) (*Set, error) {
	schemas, err := recordedSchemas(files)
	if err != nil {
		return nil, fmt.Errorf("load a recorded profile: %w", err)
	}
	var found []string
	for name := range files {
		if strings.HasPrefix(name, "profiles/") {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("load a recorded profile: want one file in profiles/, found %d", len(found))
	}
	lib, err := newLibrary(memory(files), schemas, true)
	if err != nil {
		return nil, err
	}
	return lib.load(origin{found[0], files[found[0]], false}, "")
}

// A loader gathers one set.
type loader struct {
	*library
	set      *Set
	families map[string]bool
	chosen   []*choice
	omitted  map[string]Exclusion // by address of a requirement, or id of a check
}

// A choice is one standard and what the profile wants of it.
type choice struct {
	*shelved
	whole  bool
	wanted map[string]bool // ids of requirements
	named  map[string]bool // those that a profile names one by one
}

// load reads a profile and everything below. id, where given, is what the file's place says
// that its id is.
func (l *library) load(src origin, id string) (*Set, error) {
	ld := &loader{
		library: l, families: map[string]bool{}, omitted: map[string]Exclusion{},
		set: &Set{checks: map[string]*CompiledCheck{}, files: map[string][]byte{}, Schemas: map[string]Schema{}},
	}
	layers, err := ld.layers(src, id)
	if err != nil {
		return nil, err
	}
	top := layers[len(layers)-1]
	ld.set.Profile = *top.profile
	ld.set.Profile.Approvals = approvals(layers)
	ld.set.files["profiles/"+top.profile.ID+".yaml"] = src.bytes
	for _, step := range []func(*layer) error{ld.choose, ld.exclude} {
		for _, layer := range layers {
			if err := errors.Join(step(layer), layer.doc.Err()); err != nil {
				return nil, err
			}
		}
	}
	ld.narrow(layers)
	if err := ld.require(top.doc); err != nil {
		return nil, err
	}
	if err := top.doc.Err(); err != nil {
		return nil, err
	}
	ld.overrides(layers)
	ld.mandatory(top.doc)
	checkWaivers(top.doc, ld.set)
	for _, layer := range layers {
		if err := layer.doc.Err(); err != nil {
			return nil, err
		}
	}
	if err := ld.registered(); err != nil {
		return nil, err
	}
	return ld.set, l.keep(ld.set, ld.families)
}

// registered keeps the dated facts about the selected standards.
func (ld *loader) registered() error {
	facts, err := ld.register()
	if err != nil {
		return err
	}
	for _, f := range facts {
		about := func(s *Standard) bool { return slices.Contains(f.Standards, s.ID) }
		if slices.ContainsFunc(ld.set.Standards, about) {
			ld.set.Register = append(ld.set.Register, f)
		}
	}
	if len(ld.datedBytes) > 0 {
		ld.set.files[registerFile] = ld.datedBytes
	}
	return nil
}
