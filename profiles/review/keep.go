package review

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"assay/profiles/dossier"
	"assay/profiles/strict"
)

// Why answers are not kept. Each leaves another way out to whoever names the file; errors.Is tells them apart.
var (
	ErrTaken  = errors.New("was answered by somebody else meanwhile")
	ErrFile   = errors.New("the file cannot be read or written")
	ErrFolder = errors.New("the folder takes no file")
	ErrOther  = errors.New("the file is about something else, or broken")
	ErrSize   = errors.New("more than a file of reviews may hold")
	ErrDisk   = errors.New("the disk does not take it")
)

// A refusal is an error with its reason, which it does not say.
type refusal struct {
	error
	reason error
}

func (r refusal) Unwrap() error { return r.error }

func (r refusal) Is(target error) bool { return target == r.reason }

// A Keeper keeps answers in a file. Every change is read back, written beside it, and put in its
// place as a whole, so that a killed program leaves the old file or the new one.
type Keeper struct {
	Path  string
	Now   func() time.Time
	d     *dossier.Dossier
	about func(unit string) []string
	story io.Writer

	f     *File
	seen  []byte // as last read or written; nil: there is no file
	loses bool   // it holds what will not be written again: comments, a layout
}

// Keep reads the file, if there is one. One about another product is refused. about gives the
// comments of each unit, as for Render; story is told what becomes of a file that others wrote.
func Keep(path string, d *dossier.Dossier, now func() time.Time, about func(string) []string, story io.Writer) (*Keeper, error) {
	k := &Keeper{Path: path, d: d, Now: now, about: about, story: story}
	k.f = &File{Assay: Version, Product: ProductOf(d), Dir: filepath.Dir(path)}
	return k, k.refresh()
}

// File is what the file says now.
func (k *Keeper) File() *File { return k.f }

// Exists tells whether there is a file.
func (k *Keeper) Exists() bool { return k.seen != nil }

// refresh reads the file again if somebody changed it.
func (k *Keeper) refresh() error {
	b, err := readWhole(k.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		k.seen = nil // what was read or said before is still known, and will be written
		return nil
	case err != nil:
		return refusal{err, ErrFile}
	case k.seen != nil && bytes.Equal(b, k.seen):
		return nil
	}
	f, err := Parse(k.Path, b, filepath.Dir(k.Path), k.d, k.Now())
	if err != nil {
		return refusal{err, ErrOther}
	}
	ours, err := Render(f, k.about)
	k.f, k.seen, k.loses = f, b, err != nil || !bytes.Equal(ours, b)
	return nil
}

// Find returns what the file says of a unit; nil: nothing.
func (k *Keeper) Find(unit string) *Review {
	for _, r := range k.f.Reviews {
		if r.About(unit) {
			return &r
		}
	}
	return nil
}

// Put answers one unit. before is what the file said when the unit was asked: if that has changed
// since, nothing is written. Other units of a review that is replaced keep their answer.
func (k *Keeper) Put(r Review, before *Review) error {
	if err := k.refresh(); err != nil {
		return err
	}
	unit := r.Units[0]
	if !sameAnswer(k.Find(unit), before) {
		return ErrTaken
	}
	r.Product = k.f.Product
	var next []Review
	placed := false
	for _, old := range k.f.Reviews {
		if !old.About(unit) {
			next = append(next, old)
			continue
		}
		old.Units = slices.DeleteFunc(slices.Clone(old.Units), func(u string) bool { return u == unit })
		if len(old.Units) > 0 {
			next = append(next, old)
		}
		next, placed = append(next, r), true
	}
	if !placed {
		next = append(next, r)
	}
	return k.save(next)
}

// Add puts reviews behind those that the file has.
func (k *Keeper) Add(more []Review) error { return k.save(slices.Concat(k.f.Reviews, more)) }

// sameAnswer compares two answers without the units that they are for.
func sameAnswer(a, b *Review) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Units, y.Units = nil, nil
	one, err := json.Marshal(x)
	two, other := json.Marshal(y)
	return err == nil && other == nil && bytes.Equal(one, two)
}

// save puts a new state in the file's place.
func (k *Keeper) save(reviews []Review) error {
	next := *k.f
	next.Reviews = reviews
	b, err := Render(&next, k.about)
	if err != nil {
		return refusal{err, ErrSize}
	}
	if k.loses && k.seen != nil {
		if err := replaceFile(k.Path+".bak", k.seen); err != nil {
			return err
		}
		fmt.Fprintf(k.story, "%s: was not written by assay as it stands; it is kept as %s.bak\n", k.Path, k.Path)
		k.loses = false
	}
	if err := replaceFile(k.Path, b); err != nil {
		return err
	}
	k.f, k.seen = &next, b
	return nil
}

// partial ends the name of a file that is being written.
const partial = ".assay-*"

// replaceFile writes a file beside its place, forces it to the disk and renames it: whoever
// reads the path sees the old bytes or the new ones, whatever happens meanwhile.
func replaceFile(path string, b []byte) error {
	mode := os.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays a link
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+partial)
	if err != nil {
		return refusal{fmt.Errorf("write %s: %w", path, err), ErrFolder}
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the complaint below is what matters
		return refusal{fmt.Errorf("write %s: %w", path, err), ErrDisk}
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // the name, too, survives a power cut where the system can promise it
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// Writable says early that answers could not be kept.
func (k *Keeper) Writable() error {
	if k.Exists() { // a rename would replace a file that somebody protects
		f, err := os.OpenFile(k.Path, os.O_WRONLY, 0)
		if err != nil {
			return refusal{fmt.Errorf("write reviews: %w", err), ErrFile}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	mark := "." + filepath.Base(k.Path) + partial
	f, err := os.CreateTemp(filepath.Dir(k.Path), mark)
	if err != nil {
		return refusal{fmt.Errorf("write %s: %w", k.Path, err), ErrFolder}
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	// What a killed session left half written an hour ago, nobody writes any more.
	old, _ := filepath.Glob(filepath.Join(filepath.Dir(k.Path), mark))
	for _, name := range old {
		if info, statErr := os.Lstat(name); statErr == nil && k.Now().Sub(info.ModTime()) > time.Hour {
			_ = os.Remove(name)
		}
	}
	return err
}

// readWhole reads one byte more than Parse takes, so that it says what is too long.
func readWhole(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read reviews: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read reviews: %w", err)
	}
	return b, nil
}
