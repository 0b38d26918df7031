package dossier

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"assay/profiles/strict"
)

// withheld is what stands in place of every secret.
const withheld = "withheld"

// maxSecret bounds what is read of a secret's file; a chain of PEM keys is the largest.
const maxSecret = 64 << 10

// A Secret is a value that is never printed: written in place, or read from a file or the environment.
// It marshals to nothing but the word withheld.
type Secret struct {
	value     string
	file, env string // where it is to be read from, if anywhere
	given     bool
}

// NewSecret wraps a value.
func NewSecret(v string) Secret { return Secret{value: v, given: true} }

// Reveal returns the value; the name is the warning.
func (s Secret) Reveal() string { return s.value }

// String hides the value from every formatting verb.
func (s Secret) String() string { return withheld }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return withheld }

// MarshalText hides the value from every encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(withheld), nil }

// Format hides the value from the verbs that would look into the struct.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, withheld) }

// DecodeStrict reads a text, {file: path} or {env: NAME}.
func (s *Secret) DecodeStrict(n strict.Node) {
	if text, ok := n.Text(); ok {
		*s = NewSecret(text)
		return
	}
	var from struct {
		File string `yaml:"file"`
		Env  string `yaml:"env"`
	}
	if n.IsMapping() && !n.Decode(&from) {
		return
	}
	if (from.File == "") == (from.Env == "") {
		n.Complain("wants a text, {file: path} or {env: NAME}: exactly one of them")
		return
	}
	*s = Secret{file: from.File, env: from.Env, given: true}
}

// resolve reads the value from where it is. A file may end in one line break, which is not part of it.
func (s *Secret) resolve(dir string) error {
	switch {
	case s.env != "":
		v, ok := os.LookupEnv(s.env)
		if !ok {
			return fmt.Errorf("the environment has no %s: set it, or write the value in place", s.env)
		}
		s.value = v
	case s.file != "":
		b, err := readFile(dir, s.file, maxSecret)
		if err != nil {
			return err
		}
		s.value = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	}
	s.file, s.env = "", ""
	return nil
}

// readFile reads a file named by the dossier; its errors are for people.
func readFile(dir, name string, limit int64) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, filepath.FromSlash(name))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fileError(name, err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("file %s has more than %d bytes", filepath.ToSlash(name), limit)
	}
	return b, nil
}

func fileError(name string, err error) error {
	name = filepath.ToSlash(name)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no file %s: names are meant from the dossier's folder", name)
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("file %s cannot be read: %w", name, err)
}
