// Package strictjson is for JSON that a signature hangs on: it refuses what two
// readers might take in two ways, before anybody decodes it. It decodes nothing itself.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Check returns an error unless b is one JSON value, nested at most depth deep, in valid
// UTF-8, in which no object has a key twice. Two keys that differ in case alone count as
// the same one where they are names of fields (encoding/json takes either for the other);
// the members of the objects called by a name in data are not fields.
func Check(b []byte, depth int, data ...string) error {
	return walker{depth: depth, data: data}.check(b)
}

// Exact is Check for documents that no reader takes with keys in another case, and that hold data
// under names of the maker's choice throughout: keys are compared by their bytes.
func Exact(b []byte, depth int) error { return walker{depth: depth, exact: true}.check(b) }

func (w walker) check(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("not valid UTF-8")
	}
	w.d = json.NewDecoder(bytes.NewReader(b))
	w.d.UseNumber()
	if err := w.value("", 0); err != nil {
		return fmt.Errorf("at byte %d: %w", w.d.InputOffset(), err)
	}
	if _, err := w.d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("bytes behind the value at byte %d: %w", w.d.InputOffset(), ErrTrailing)
	}
	return nil
}

// ErrTrailing says that something follows the value.
var ErrTrailing = errors.New("trailing bytes")

type walker struct {
	d     *json.Decoder
	depth int
	data  []string // names of objects whose members are data
	exact bool     // all of them are
}

func (w walker) value(name string, depth int) error {
	t, err := w.d.Token()
	if err != nil {
		return unexpected(err)
	}
	if _, opens := t.(json.Delim); opens && depth == w.depth {
		return fmt.Errorf("nested more than %d deep", w.depth)
	}
	switch t {
	case json.Delim('{'):
		return w.object(name, depth)
	case json.Delim('['):
		for w.d.More() {
			if err := w.value("", depth+1); err != nil {
				return err
			}
		}
		_, err := w.d.Token()
		return unexpected(err)
	}
	return nil
}

func (w walker) object(name string, depth int) error {
	free := w.exact || slices.Contains(w.data, name)
	seen := map[string]string{}
	for w.d.More() {
		t, err := w.d.Token()
		if err != nil {
			return unexpected(err)
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v where a key should be", t)
		}
		same := key
		if !free {
			same = strings.ToLower(strings.ToUpper(key)) // both: U+017F and U+212A fold as well
		}
		if before, twice := seen[same]; twice {
			if before == key {
				return fmt.Errorf("key %.60q twice in one object", key)
			}
			return fmt.Errorf("keys %.60q and %.60q in one object", before, key)
		}
		seen[same] = key
		if err := w.value(key, depth+1); err != nil {
			return err
		}
	}
	_, err := w.d.Token()
	return unexpected(err)
}

// unexpected tells a text that stops too early from one that ends.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
