package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"assay/profiles/strict"
)

// An origin is the bytes of one profile and where they are from. Messages name it, and what it
// extends by a file's name lies beside it.
type origin struct {
	name  string
	bytes []byte
	disk  bool // a user's own file, not one of the library's file system
}

// A layer is one profile of a chain of extensions.
type layer struct {
	doc     *strict.Doc
	profile *Profile
}

// mostLayers bounds how often profiles may extend one another.
const mostLayers = 8

// layers reads a profile and those that it extends, the deepest first.
func (ld *loader) layers(src origin, id string) ([]*layer, error) {
	var out []*layer
	for {
		doc, err := strict.Parse(src.name, src.bytes)
		if err != nil {
			return nil, err
		}
		one := &layer{doc, &Profile{}}
		if err := doc.Decode(one.profile); err != nil {
			return nil, err
		}
		checkProfile(doc, one.profile, id)
		out = append(out, one)
		base := one.profile.Extends
		switch {
		case base == "":
		case len(out) == mostLayers:
			doc.Complain("extends", "is the %dth extension in a row: do two profiles extend each other?", mostLayers)
		default:
			if src, err = ld.base(base, src); err != nil {
				doc.Complain("extends", "%v", err)
			}
		}
		if err := doc.Err(); err != nil {
			return nil, err
		}
		if base == "" {
			slices.Reverse(out)
			return out, nil
		}
		id = ""
	}
}

// approvals are those that any of the layers wants: who extends a profile cannot want fewer eyes.
func approvals(layers []*layer) *Approvals {
	var all *Approvals
	for _, l := range layers {
		if a := l.profile.Approvals; a != nil {
			if all == nil {
				all = &Approvals{}
			}
			all.Reviewer, all.Approver = max(all.Reviewer, a.Reviewer), max(all.Approver, a.Approver)
		}
	}
	return all
}

// base reads a profile that another extends: one of the library by its id, or a file beside the other.
func (ld *loader) base(name string, from origin) (origin, error) {
	kept := "bases/" + path.Base(strings.TrimSuffix(filepath.ToSlash(name), ".yaml")) + ".yaml"
	own := strings.ContainsAny(name, "/\\") || strings.HasSuffix(name, ".yaml")
	var out origin
	var err error
	switch {
	case ld.recorded:
		out.name = kept
		out.bytes, err = readFile(ld.fsys, kept)
	case own && from.disk:
		out.name, out.disk = filepath.Join(filepath.Dir(from.name), filepath.FromSlash(name)), true
		out.bytes, err = readOwn(out.name)
	case own:
		out.name = path.Join(path.Dir(from.name), name)
		out.bytes, err = readFile(ld.fsys, out.name)
	default:
		out.name, out.bytes, err = profileFile(ld.fsys, name)
	}
	if own && !ld.recorded && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no file %s: name one beside this profile, or the id of a profile that comes with assay", filepath.ToSlash(out.name))
	}
	if err != nil {
		return origin{}, err
	}
	if before, twice := ld.set.files[kept]; twice && string(before) != string(out.bytes) {
		return origin{}, fmt.Errorf("two different profiles are called %s: rename one", path.Base(kept))
	}
	ld.set.files[kept] = out.bytes
	return out, nil
}

// readOwn reads a file of the user's own.
func readOwn(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}
