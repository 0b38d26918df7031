package main

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
	"assay/profiles/review"
	"assay/profiles/strict"
)

// errTaken says that somebody else answered a unit while it was asked here.
var errTaken = errors.New("was answered by somebody else meanwhile")

// A reviewFile is the file that answers are kept in. Every change is read back, written beside it,
// and put in its place as a whole, so that a killed program leaves the old file or the new one.
type reviewFile struct {
	path  string
	d     *dossier.Dossier
	now   func() time.Time
	about func(unit string) []string
	story io.Writer

	f     *review.File
	seen  []byte // as last read or written; nil: there is no file
	loses bool   // it holds what will not be written again: comments, a layout
}

// openReviewFile reads the file, if there is one. One about another product is refused.
func openReviewFile(path string, d *dossier.Dossier, now func() time.Time, about func(string) []string, story io.Writer) (*reviewFile, error) {
	s := &reviewFile{path: path, d: d, now: now, about: about, story: story}
	if path == "" {
		return nil, unusable(errors.New("--out is empty"), "name a file")
	}
	s.f = &review.File{Assay: review.Version, Product: review.ProductOf(d), Dir: filepath.Dir(path)}
	return s, s.refresh()
}

// refresh reads the file again if somebody changed it.
func (s *reviewFile) refresh() error {
	b, err := readWhole(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		s.seen = nil // what was read or said before is still known, and will be written
		return nil
	case err != nil:
		return unusable(fmt.Errorf("read reviews: %w", err), "choose another file with --out")
	case s.seen != nil && bytes.Equal(b, s.seen):
		return nil
	}
	f, err := review.Parse(s.path, b, filepath.Dir(s.path), s.d, s.now())
	if err != nil {
		return unusable(err, "mend it, or choose another file with --out: it is not overwritten")
	}
	ours, err := review.Render(f, s.about)
	s.f, s.seen, s.loses = f, b, err != nil || !bytes.Equal(ours, b)
	return nil
}

func readWhole(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
}

// find returns what the file says of a unit; nil: nothing.
func (s *reviewFile) find(unit string) *review.Review {
	for _, r := range s.f.Reviews {
		if r.About(unit) {
			return &r
		}
	}
	return nil
}

// put answers one unit. before is what the file said when the unit was asked: if that has changed
// since, nothing is written. Other units of a review that is replaced keep their answer.
func (s *reviewFile) put(r review.Review, before *review.Review) error {
	if err := s.refresh(); err != nil {
		return err
	}
	unit := r.Units[0]
	if !sameAnswer(s.find(unit), before) {
		return errTaken
	}
	r.Product = s.f.Product
	next, placed := *s.f, false
	next.Reviews = nil
	for _, old := range s.f.Reviews {
		if !old.About(unit) {
			next.Reviews = append(next.Reviews, old)
			continue
		}
		old.Units = slices.DeleteFunc(slices.Clone(old.Units), func(u string) bool { return u == unit })
		if len(old.Units) > 0 {
			next.Reviews = append(next.Reviews, old)
		}
		next.Reviews, placed = append(next.Reviews, r), true
	}
	if !placed {
		next.Reviews = append(next.Reviews, r)
	}
	return s.save(&next)
}

// sameAnswer compares two answers without the units that they are for.
func sameAnswer(a, b *review.Review) bool {
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
func (s *reviewFile) save(next *review.File) error {
	b, err := review.Render(next, s.about)
	if err != nil {
		return unusable(err, "a profile with fewer units, or --only, makes a smaller file")
	}
	if s.loses && s.seen != nil {
		if err := replaceFile(s.path+".bak", s.seen); err != nil {
			return err
		}
		fmt.Fprintf(s.story, "%s: was not written by assay as it stands; it is kept as %s.bak\n", s.path, s.path)
		s.loses = false
	}
	if err := replaceFile(s.path, b); err != nil {
		return err
	}
	s.f, s.seen = next, b
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
		return unusable(fmt.Errorf("write %s: %w", path, err), "choose a writable folder with --out")
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the complaint below is what matters
		return benchFailed(fmt.Errorf("write %s: %w", path, err), "is the disk full?")
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // the name, too, survives a power cut where the system can promise it
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// writable says early that answers could not be kept.
func (s *reviewFile) writable() error {
	if s.seen != nil { // a rename would replace a file that somebody protects
		f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
		if err != nil {
			return unusable(fmt.Errorf("write reviews: %w", err), "choose another file with --out")
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	mark := "." + filepath.Base(s.path) + partial
	f, err := os.CreateTemp(filepath.Dir(s.path), mark)
	if err != nil {
		return unusable(fmt.Errorf("write %s: %w", s.path, err), "choose a writable folder with --out")
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	// What a killed session left half written an hour ago, nobody writes any more.
	old, _ := filepath.Glob(filepath.Join(filepath.Dir(s.path), mark))
	for _, name := range old {
		if info, statErr := os.Lstat(name); statErr == nil && s.now().Sub(info.ModTime()) > time.Hour {
			_ = os.Remove(name)
		}
	}
	return err
}
