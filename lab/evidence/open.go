package evidence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A source opens artefacts' files.
type source interface {
	open(a Artefact) (io.ReadCloser, error)
}

// Open reads a run directory or a bundle without verifying more than the form and
// the journal's chain. It is for looking at; use Verify before anything is concluded.
func Open(path string) (*Evidence, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	if info.IsDir() {
		e, _, err := openDir(path)
		return e, err
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	defer f.Close()
	e, box, _, err := openBundle(f, info.Size(), path)
	if err != nil {
		return e, err
	}
	if err := box.readSeal(e); err != nil {
		return e, err
	}
	_, err = box.readAmendments(e)
	return e, err
}

// readSeal tells whose seal it is said to be, and when an authority is said to have seen it.
func (c *container) readSeal(e *Evidence) error {
	b, _, err := c.small(sealName, maxSeal)
	if err != nil {
		return err
	}
	env, err := openSeal(b)
	if err == nil {
		e.Hint, err = env.hint()
	}
	if err != nil {
		return broken(layerSeal, sealName, "%v", err)
	}
	_, err = c.readStamp(e, env.DSSE.Signatures[0].Sig)
	return err
}

// openDir reads a run directory's journal.
func openDir(dir string) (*Evidence, *chain, error) {
	f, err := openRegular(filepath.Join(dir, journalName))
	if err != nil {
		return nil, nil, fmt.Errorf("open evidence: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read journal in %s: %w", dir, err)
	}
	if len(b) > maxJournal {
		return nil, nil, broken(layerChain, journalName, "more than %d bytes", maxJournal)
	}
	c, err := parseJournal(b)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range c.records {
		if r.Kind == KindWithheld {
			return nil, nil, broken(layerChain, lineName(i+1), "is withheld: a run's own folder holds everything")
		}
	}
	e := &Evidence{Path: dir, Torn: c.torn, Records: c.records, source: directory(dir)}
	return e, c, e.gather()
}

// openBundle reads a bundle's headers and its journal.
func openBundle(r io.ReaderAt, size int64, path string) (*Evidence, *container, *chain, error) {
	box, err := readContainer(r, size)
	if err != nil {
		return nil, nil, nil, err
	}
	mime, _, err := box.small(mimeName, uint64(len(mimeType)))
	if err != nil {
		return nil, nil, nil, err
	}
	if string(mime) != mimeType {
		return nil, nil, nil, broken(layerContainer, mimeName, "%s is not %s", printable(string(mime)), mimeType)
	}
	b, _, err := box.small(journalName, maxJournal)
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := parseJournal(b)
	if err != nil {
		return nil, nil, nil, box.locate(c, err)
	}
	if c.torn > 0 {
		return nil, nil, nil, broken(layerChain, lineName(len(c.lines)+1), "it was never finished")
	}
	e := &Evidence{Path: path, Sealed: true, Records: c.records, source: &bundle{path: path, box: box}}
	if err := e.gather(); err != nil {
		return e, box, c, err
	}
	return e, box, c, e.checkRedaction(box)
}

// directory holds files by digest.
type directory string

func (d directory) open(a Artefact) (io.ReadCloser, error) {
	path := filepath.Join(string(d), filesName, a.SHA256)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, broken(layerArtefact, a.entry(), "is missing (%s)", a.Name)
	}
	if err != nil {
		return nil, err
	}
	// A link would lead out of the evidence; a pipe would never end.
	if !info.Mode().IsRegular() {
		return nil, broken(layerArtefact, a.entry(), "is not a regular file (%s)", a.Name)
	}
	return os.Open(path)
}

// bundle opens its file anew for each reader, so that evidence holds nothing open.
type bundle struct {
	path string
	box  *container
}

func (b *bundle) open(a Artefact) (io.ReadCloser, error) {
	e, ok := b.box.find(a.entry())
	if _, redacted := b.box.find(redactionName); !ok && redacted {
		return nil, ErrWithheld
	}
	if !ok {
		return nil, broken(layerArtefact, a.entry(), "is missing (%s)", a.Name)
	}
	f, err := os.Open(b.path)
	if err != nil {
		return nil, err
	}
	return &section{io.NewSectionReader(f, int64(e.data()), int64(e.size)), f}, nil
}

type section struct {
	*io.SectionReader
	io.Closer
}
