package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"mime"
	"os"
	"path/filepath"
)

// AddBytes keeps b as an artefact and records it.
func (j *Journal) AddBytes(name, mediaType string, b []byte) (Artefact, error) {
	return j.add(name, mediaType, func(part string) (string, int64, error) {
		return writePart(part, bytes.NewReader(b))
	})
}

// AddFile keeps the file at path as an artefact and records it. Where the system
// allows it the file gets a second name instead of a copy: whoever writes to it
// afterwards breaks the evidence, and verification says so.
func (j *Journal) AddFile(name, mediaType, path string) (Artefact, error) {
	return j.add(name, mediaType, func(part string) (string, int64, error) {
		info, err := os.Lstat(path)
		if err != nil {
			return "", 0, err
		}
		if info.Mode().IsRegular() && hardLink(path, part) == nil {
			return hashPart(part)
		}
		f, err := openRegular(path)
		if err != nil {
			return "", 0, err
		}
		defer f.Close()
		return writePart(part, f)
	})
}

// add makes a temporary file, gives it its digest as name, and records it. The
// journal stays open for others while a large file is read.
func (j *Journal) add(name, mediaType string, fill func(part string) (string, int64, error)) (Artefact, error) {
	part, err := j.reserve(name, mediaType)
	if err != nil {
		return Artefact{}, fmt.Errorf("add artefact: %w", err)
	}
	a, err := j.keep(part, Artefact{Name: name, MediaType: mediaType}, fill)
	if err == nil {
		_, err = j.append(KindArtefact, a)
	}
	if err != nil {
		j.mu.Lock()
		delete(j.names, name)
		j.mu.Unlock()
		return Artefact{}, fmt.Errorf("add artefact %s: %w", name, err)
	}
	return a, nil
}

func (j *Journal) keep(part string, a Artefact, fill func(part string) (string, int64, error)) (Artefact, error) {
	// Renaming onto another name of the same file leaves both (POSIX), hence the removal in every case.
	defer os.Remove(part)
	var err error
	if a.SHA256, a.Size, err = fill(part); err != nil {
		return a, err
	}
	files := filepath.Join(j.dir, filesName)
	if err := os.Rename(part, filepath.Join(files, a.SHA256)); err != nil {
		return a, err
	}
	return a, syncDir(files)
}

// reserve checks an artefact's name and type, takes the name, and names a temporary file.
func (j *Journal) reserve(name, mediaType string) (part string, err error) {
	if err := checkArtefact(name, mediaType); err != nil {
		return "", err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return "", j.failed
	}
	if j.names[name] {
		return "", fmt.Errorf("%s is there already", name)
	}
	// A part that a killed run left behind must not be taken for this one.
	for {
		j.parts++
		part = filepath.Join(j.dir, filesName, fmt.Sprintf("part-%d", j.parts))
		if _, err := os.Lstat(part); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
	}
	j.names[name] = true
	return part, nil
}

func checkArtefact(name, mediaType string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if _, _, err := mime.ParseMediaType(mediaType); err != nil {
		return fmt.Errorf("artefact %s: media type %.60q: %w", name, mediaType, err)
	}
	return nil
}

// writePart copies r to a new file, synced, and returns its digest and size.
func writePart(part string, r io.Reader) (string, int64, error) {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	n, err := io.Copy(f, io.TeeReader(r, h))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}

// hashPart syncs a file that got a second name, and returns its digest and size.
func hashPart(part string) (string, int64, error) {
	f, err := os.Open(part)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err == nil {
		err = f.Sync()
	}
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// openRegular opens a file, and nothing that could block or never end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.Open(path)
}

// checked gives out an artefact's bytes and ends with a *Broken unless they are the recorded ones.
type checked struct {
	io.ReadCloser
	a    Artefact
	h    hash.Hash
	seen int64
}

func newChecked(r io.ReadCloser, a Artefact) *checked {
	return &checked{ReadCloser: r, a: a, h: sha256.New()}
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.h.Write(p[:n])
	c.seen += int64(n)
	if c.seen > c.a.Size {
		return n, c.a.differs()
	}
	if err == io.EOF && (c.seen != c.a.Size || hex.EncodeToString(c.h.Sum(nil)) != c.a.SHA256) {
		return n, c.a.differs()
	}
	return n, err
}

// entry is the artefact's name in a directory and in a bundle.
func (a Artefact) entry() string { return filesName + "/" + a.SHA256 }

func (a Artefact) differs() error {
	return broken(layerArtefact, a.entry(), "%s is not what the journal recorded", a.Name)
}
