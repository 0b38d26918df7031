package evidence

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// An addition is an entry that comes behind those of a bundle.
type addition struct {
	name string
	b    []byte
}

// ErrNotWhole says that a redacted copy takes no time-stamp and no amendment.
var ErrNotWhole = errors.New("it is a redacted copy: only the whole bundle grows")

// grow puts entries behind those of a bundle: into a new file beside it, which takes its name when it
// is whole and on the disk. The entries that are there keep their bytes.
func grow(path string, more func(*container, *envelope) ([]addition, error)) error {
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := lockFile(f); err != nil {
		return err
	}
	held, err := f.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(held, named) {
		return errors.New("somebody else has just written it: try again")
	}
	c, err := readContainer(f, held.Size())
	if err != nil {
		return err
	}
	b, _, err := c.small(sealName, maxSeal)
	if err != nil {
		return err
	}
	env, err := openSeal(b)
	if err != nil {
		return broken(layerSeal, sealName, "%v", err)
	}
	if _, ok := c.find(redactionName); ok {
		return ErrNotWhole
	}
	list, err := more(c, env)
	if err != nil {
		return err
	}
	return replaceFile(path, held.Mode().Perm(), func(out *os.File) error {
		if _, err := io.Copy(out, io.NewSectionReader(f, 0, int64(c.tail))); err != nil {
			return err
		}
		w := &writer{f: out, at: c.tail, entries: c.entries}
		for _, a := range list {
			if err := w.bytes(a.name, a.b); err != nil {
				return err
			}
		}
		return w.finish()
	})
}

// replaceFile writes a new file and gives it the name of an old one, so that whatever ends this
// process leaves one of the two, whole.
func replaceFile(path string, mode fs.FileMode, fill func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".assay-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name by then, if all went well
	if err = f.Chmod(mode); err == nil {
		err = fill(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
