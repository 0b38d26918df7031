package profiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"strings"

	"assay/profiles/expr"
	"assay/profiles/strict"
)

// A library reads standards, checks and facts, each once, for any number of sets.
type library struct {
	fsys     fs.FS
	schemas  map[string]Schema
	recorded bool // nothing but fsys may be read

	vocabulary []Feature
	vocabBytes []byte
	features   *expr.Env
	names      []string             // of features
	envs       map[string]*expr.Env // by probe
	programs   map[source]*expr.Program
	families   map[string]*checkFamily
	standards  map[string]*shelved
	dated      []DatedFact
	datedBytes []byte
}

// shelved is one standard with its compiled conditions.
type shelved struct {
	standard   *Standard
	conditions map[string]Condition // by requirement
	file       string
	bytes      []byte
}

// ids lists the standard's requirements, in its order.
func (s *shelved) ids() []string {
	out := make([]string, len(s.standard.Requirements))
	for i, r := range s.standard.Requirements {
		out[i] = r.ID
	}
	return out
}

func newLibrary(fsys fs.FS, schemas map[string]Schema, recorded bool) (*library, error) {
	l := &library{
		fsys: fsys, schemas: schemas, recorded: recorded,
		envs: map[string]*expr.Env{}, programs: map[source]*expr.Program{}, families: map[string]*checkFamily{}, standards: map[string]*shelved{},
	}
	return l, l.loadFeatures()
}

func (l *library) loadFeatures() error {
	b, err := readFile(l.fsys, featuresFile)
	if errors.Is(err, fs.ErrNotExist) && !l.recorded {
		b, err = fs.ReadFile(embedded, featuresFile)
	}
	if err != nil {
		return fmt.Errorf("read the features: %w", err)
	}
	if l.vocabulary, err = parseFeatures(featuresFile, b); err != nil {
		return err
	}
	l.vocabBytes = b
	for _, f := range l.vocabulary {
		l.names = append(l.names, f.Name)
	}
	l.features, err = expr.Features(l.names)
	return err
}

func (l *library) standardIDs() []string { return ids(l.fsys, "standards") }

// ids lists the names of the files in one folder, without their ending, sorted.
func ids(fsys fs.FS, folder string) []string {
	names, _ := fs.Glob(fsys, folder+"/*.yaml") // the pattern is good
	for i, n := range names {
		names[i] = strings.TrimSuffix(path.Base(n), ".yaml")
	}
	return names
}

// keep notes in a set every file that it was made from, and the schemas of its probes.
func (l *library) keep(set *Set, families map[string]bool) error {
	set.Features = l.vocabulary
	set.files[featuresFile] = l.vocabBytes
	for name := range families {
		f := l.families[name]
		set.files[f.file] = f.bytes
		for _, c := range f.checks {
			if c.Probe != "" {
				set.Schemas[c.Probe] = l.schemas[c.Probe]
			}
		}
	}
	b, err := json.MarshalIndent(set.Schemas, "", " ")
	if err != nil {
		return fmt.Errorf("write the schemas: %w", err)
	}
	set.files[schemasFile] = append(b, '\n')
	return nil
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

// recordedSchemas reads the schemas that a recorded package carries.
func recordedSchemas(files map[string][]byte) (map[string]Schema, error) {
	raw, ok := files[schemasFile]
	if !ok {
		return nil, fmt.Errorf("%s is missing", schemasFile)
	}
	if len(raw) > strict.MaxBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", schemasFile, strict.MaxBytes)
	}
	schemas := map[string]Schema{}
	if err := json.Unmarshal(raw, &schemas); err != nil {
		return nil, fmt.Errorf("read %s: %w", schemasFile, err)
	}
	return maps.Clone(schemas), nil
}
