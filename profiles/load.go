package profiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"assay/profiles/expr"
	"assay/profiles/strict"
)

// schemasFile is the name under which a set's files carry the schemas.
const schemasFile = "schemas.json"

// ErrNoProfile says that there is no profile of that name.
var ErrNoProfile = errors.New("no such profile")

// idPattern keeps ids usable as file names on every system.
var idPattern = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)

// List names the profiles in a file system laid out like Embedded, sorted.
func List(fsys fs.FS) ([]string, error) {
	names, err := fs.Glob(fsys, "profiles/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	var ids []string
	for _, n := range names {
		ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(n, "profiles/"), ".yaml"))
	}
	return ids, nil
}

// Load reads one profile and all it selects from a file system laid out like
// Embedded: profiles/<id>.yaml, standards/<id>.yaml, checks/<family>.yaml, features.yaml.
// What it lacks of features comes from Embedded.
func Load(fsys fs.FS, id string, schemas map[string]Schema) (*Set, error) {
	if !idPattern.MatchString(id) {
		return nil, fmt.Errorf("load profile %q: %w: an id has lower case letters, digits, hyphens and dots", id, ErrNoProfile)
	}
	file := "profiles/" + id + ".yaml"
	b, err := readFile(fsys, file)
	if errors.Is(err, fs.ErrNotExist) {
		ids, _ := List(fsys)
		return nil, fmt.Errorf("load profile %q: %w%s", id, ErrNoProfile, strict.Suggest(id, ids))
	}
	if err != nil {
		return nil, fmt.Errorf("load profile %q: %w", id, err)
	}
	return newLoader(fsys, schemas).load(file, b, id)
}

// LoadFile reads a profile of the user's own, which selects from the embedded standards.
func LoadFile(path string, schemas map[string]Schema) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load profile: %w", err)
	}
	defer f.Close()
	b, err := readBounded(f)
	if err != nil {
		return nil, fmt.Errorf("load profile %s: %w", filepath.ToSlash(path), err)
	}
	return newLoader(embedded, schemas).load(path, b, "")
}

// LoadPackage loads what Set.Files returned, perhaps years ago: nothing but these
// files is read, so that the same set comes out.
func LoadPackage(files map[string][]byte) (*Set, error) {
	fsys := memory(files)
	raw, ok := files[schemasFile]
	if !ok {
		return nil, fmt.Errorf("load a recorded profile: %s is missing", schemasFile)
	}
	if len(raw) > strict.MaxBytes {
		return nil, fmt.Errorf("load a recorded profile: %s has more than %d bytes", schemasFile, strict.MaxBytes)
	}
	schemas := map[string]Schema{}
	if err := json.Unmarshal(raw, &schemas); err != nil {
		return nil, fmt.Errorf("load a recorded profile: read %s: %w", schemasFile, err)
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
	l := newLoader(fsys, schemas)
	l.recorded = true
	return l.load(found[0], files[found[0]], "")
}

// memory is a file system of a recorded package.
type memory map[string][]byte

func (m memory) read(name string) ([]byte, error) {
	b, ok := m[name]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return b, nil
}

// Open is there for fs.FS only; readFile takes the short way.
func (m memory) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	if m, ok := fsys.(memory); ok {
		return m.read(name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

// readBounded reads one byte more than strict.Parse accepts, so that it says so.
func readBounded(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, strict.MaxBytes+1))
}

// A loader gathers one set.
type loader struct {
	fsys     fs.FS
	schemas  map[string]Schema
	recorded bool // nothing but fsys may be read

	set      *Set
	features *expr.Env
	names    []string             // of features
	envs     map[string]*expr.Env // by probe
	programs map[source]*expr.Program
	families map[string]map[string]*CompiledCheck // family -> checks by id
}

func newLoader(fsys fs.FS, schemas map[string]Schema) *loader {
	return &loader{
		fsys: fsys, schemas: schemas,
		set:  &Set{checks: map[string]*CompiledCheck{}, files: map[string][]byte{}, Schemas: map[string]Schema{}},
		envs: map[string]*expr.Env{}, programs: map[source]*expr.Program{}, families: map[string]map[string]*CompiledCheck{},
	}
}

// load reads a profile's bytes and everything below. name is for messages; id, where
// given, is what the file's place says that its id is.
func (l *loader) load(name string, b []byte, id string) (*Set, error) {
	if err := l.loadFeatures(); err != nil {
		return nil, err
	}
	doc, err := strict.Parse(name, b)
	if err != nil {
		return nil, err
	}
	p := &l.set.Profile
	if err := doc.Decode(p); err != nil {
		return nil, err
	}
	checkProfile(doc, p, id)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	l.set.files["profiles/"+p.ID+".yaml"] = b
	for i := range p.Standards {
		if err := l.choose(doc, i); err != nil {
			return nil, err
		}
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	l.overrides(doc)
	l.mandatory(doc)
	checkWaivers(doc, l.set)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return l.set, l.keepSchemas()
}

func (l *loader) loadFeatures() error {
	b, err := readFile(l.fsys, featuresFile)
	if errors.Is(err, fs.ErrNotExist) && !l.recorded {
		b, err = fs.ReadFile(embedded, featuresFile)
	}
	if err != nil {
		return fmt.Errorf("read the features: %w", err)
	}
	if l.set.Features, err = parseFeatures(featuresFile, b); err != nil {
		return err
	}
	l.set.files[featuresFile] = b
	for _, f := range l.set.Features {
		l.names = append(l.names, f.Name)
	}
	l.features, err = expr.Features(l.names)
	return err
}

// choose loads one selected standard and keeps the requirements that the profile takes.
func (l *loader) choose(doc *strict.Doc, i int) error {
	sel := l.set.Profile.Standards[i]
	key := at("standards", i)
	std, conditions, err := l.standard(sel.Standard)
	if errors.Is(err, fs.ErrNotExist) {
		doc.Complain(key+".standard", "there is no standard %q%s", sel.Standard, strict.Suggest(sel.Standard, l.standardIDs()))
		return nil
	}
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	known := make([]string, len(std.Requirements))
	for j, r := range std.Requirements {
		known[j] = r.ID
	}
	for j, r := range sel.Requirements {
		where := at(key+".requirements", j)
		switch {
		case !slices.Contains(known, r):
			doc.Complain(where, "%s has no requirement %q%s", std.ID, r, strict.Suggest(r, known))
		case wanted[r]:
			doc.Complain(where, "%q stands here twice: keep one", r)
		}
		wanted[r] = true
	}
	all := std.Requirements
	std.Requirements = nil
	for _, r := range all {
		if len(sel.Requirements) > 0 && !wanted[r.ID] {
			continue
		}
		std.Requirements = append(std.Requirements, r)
		l.set.required = append(l.set.required, Required{Standard: std, Requirement: r, When: conditions[r.ID]})
		for _, id := range r.Checks {
			l.set.checks[id] = l.families[family(id)][id]
		}
	}
	l.set.Standards = append(l.set.Standards, std)
	return nil
}

func (l *loader) standardIDs() []string {
	names, _ := fs.Glob(l.fsys, "standards/*.yaml")
	for i, n := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(n, "standards/"), ".yaml")
	}
	return names
}

// overrides applies the profile's parameters to its checks.
func (l *loader) overrides(doc *strict.Doc) {
	done := map[string]bool{}
	for i, o := range l.set.Profile.With {
		key := at("with", i)
		c, ok := l.set.checks[o.Check]
		switch {
		case !ok:
			doc.Complain(key+".check", "the profile selects no check %q%s", o.Check, strict.Suggest(o.Check, slices.Collect(maps.Keys(l.set.checks))))
			continue
		case done[o.Check]:
			doc.Complain(key+".check", "%q is overridden twice: join the two", o.Check)
		case o.Because == "":
			doc.Complain(key, "has no because: say why this lab deviates from the check")
		case len(o.With) == 0:
			doc.Complain(key, "has no with: name the parameters to change or remove the override")
		}
		done[o.Check] = true
		changed := *c
		changed.With = maps.Clone(c.With)
		if changed.With == nil {
			changed.With = map[string]any{}
		}
		maps.Copy(changed.With, o.With)
		l.step(doc, key+".with", &changed)
		l.set.checks[o.Check] = &changed
	}
}

// mandatory refuses a profile over which conformity would say nothing.
func (l *loader) mandatory(doc *strict.Doc) {
	for _, r := range l.set.required {
		if r.Level == Mandatory {
			return
		}
	}
	doc.Complain("standards", "selects no mandatory requirement: conformity would be a statement over nothing")
}

// keepSchemas notes the schemas that the loaded check files speak of.
func (l *loader) keepSchemas() error {
	for _, checks := range l.families {
		for _, c := range checks {
			l.set.Schemas[c.Probe] = l.schemas[c.Probe]
		}
	}
	b, err := json.MarshalIndent(l.set.Schemas, "", " ")
	if err != nil {
		return fmt.Errorf("write the schemas: %w", err)
	}
	l.set.files[schemasFile] = append(b, '\n')
	return nil
}
