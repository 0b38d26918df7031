package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// KindWithheld is the kind of what stands in a redacted copy for a record that was left out. A journal
// never has it.
const KindWithheld = "withheld"

// Withholdable are the kinds of records that a redacted copy may leave out: a record of another kind holds
// the rest together, or tells that something is missing. They are written with a salt, so that
// nobody can guess what was left out from its leaf.
var Withholdable = []string{KindNote, KindBench, KindHealth, KindRestore, KindReview, KindObservation}

// ErrWithheld says that something is not in a redacted copy.
var ErrWithheld = errors.New("is withheld in this redacted copy")

// ErrRedaction says that a redaction cannot be made.
var ErrRedaction = errors.New("cannot be withheld")

// redactionVersion names the form of redaction.json.
const redactionVersion = "redaction/v1"

// A redaction is redaction.json: exactly what is missing from a copy. It is not signed, because it claims
// nothing that the root does not prove.
type redaction struct {
	Assay   string   `json:"assay"`
	Files   []string `json:"files"`   // digests, in the order of the tree
	Records []uint64 `json:"records"` // seq, ascending
}

func (r *redaction) encode() ([]byte, error) {
	b, err := json.Marshal(r)
	return append(b, '\n'), err
}

// redaction reads what is said to be missing; nil for a whole bundle.
func (c *container) redaction() (*redaction, error) {
	b, entry, err := c.optional(redactionName, maxTree)
	if err != nil || b == nil {
		return nil, err
	}
	r := &redaction{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, broken(layerContainer, redactionName, "%v", err)
	}
	if again, err := r.encode(); err != nil || !bytes.Equal(again, b) || r.Assay != redactionVersion {
		return nil, broken(layerContainer, redactionName, "not in the form a redaction is written in")
	}
	return r, entry.checkSum(b)
}

// checkRedaction demands that exactly what is said to be missing is missing, and gathers it.
func (e *Evidence) checkRedaction(c *container) error {
	said, err := c.redaction()
	if err != nil {
		return err
	}
	var is redaction
	for _, r := range e.Records {
		if r.Kind == KindWithheld {
			is.Records = append(is.Records, r.Seq)
		}
	}
	if said == nil {
		if len(is.Records) > 0 {
			return broken(layerChain, lineName(int(is.Records[0])), "is withheld, and nothing says that this is a redacted copy")
		}
		return nil
	}
	e.Redacted = true
	for _, seq := range is.Records {
		e.Withheld = append(e.Withheld, fmt.Sprintf("record %d", seq))
	}
	for _, a := range e.files() {
		if _, ok := c.find(a.entry()); !ok {
			is.Files = append(is.Files, a.SHA256)
		}
	}
	for _, a := range e.Artefacts {
		if slices.Contains(is.Files, a.SHA256) {
			e.Withheld = append(e.Withheld, a.Name)
		}
	}
	if len(e.Withheld) == 0 || !slices.Equal(is.Records, said.Records) || !slices.Equal(is.Files, said.Files) {
		return broken(layerContainer, redactionName, "does not say what is missing")
	}
	return nil
}

// withheldFile tells whether a redacted copy leaves a file out.
func (e *Evidence) withheldFile(c *container, a Artefact) bool {
	_, ok := c.find(a.entry())
	return e.Redacted && !ok
}

// Redact writes a copy that proves the same root and leaves out some artefacts whole and some records.
// Seal, time-stamp and amendments are copied; so is the tree, which holds the leaf of whatever is left out.
// An artefact's digest stays in its record: whoever can guess all of its content can confirm the guess.
func Redact(ctx context.Context, path, out string, names []string, records []uint64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("redact %s: %w", path, err)
		}
	}()
	e, err := VerifyBy(ctx, path, Trust{anySealer: true})
	switch {
	case err != nil:
		return err
	case e.Root == "" || e.Redacted:
		return fmt.Errorf("only a sealed run that is whole is redacted: %w", ErrRedaction)
	}
	r, err := e.choose(names, records)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s: %w", out, fs.ErrExist), err)
	}
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c, err := readContainer(f, info.Size())
	if err != nil {
		return err
	}
	return replaceFile(filepath.Clean(out), 0o644, func(to *os.File) error { return c.writeRedacted(ctx, to, r) })
}

// choose finds what is to be left out, in the order of the tree.
func (e *Evidence) choose(names []string, records []uint64) (*redaction, error) {
	r := &redaction{Assay: redactionVersion, Files: []string{}, Records: []uint64{}}
	gone := map[string]bool{}
	for _, name := range names {
		a, ok := e.Find(name)
		if !ok {
			return nil, fmt.Errorf("there is no artefact %.80q: %w", name, ErrRedaction)
		}
		gone[a.SHA256] = true
		// Whoever withholds a capture means all of its files.
		for _, p := range e.partsOf(name) {
			if a, ok := e.Find(p.File); ok {
				gone[a.SHA256] = true
			}
		}
	}
	for _, a := range e.files() {
		if gone[a.SHA256] {
			r.Files = append(r.Files, a.SHA256)
		}
	}
	slices.Sort(records)
	for _, seq := range slices.Compact(records) {
		if seq < 1 || seq > uint64(len(e.Records)) {
			return nil, fmt.Errorf("record %d of %d: %w", seq, len(e.Records), ErrRedaction)
		}
		if k := e.Records[seq-1].Kind; !slices.Contains(Withholdable, k) {
			return nil, fmt.Errorf("record %d is of kind %s: %w", seq, k, ErrRedaction)
		}
		r.Records = append(r.Records, seq)
	}
	if len(r.Files)+len(r.Records) == 0 {
		return nil, fmt.Errorf("nothing is named: %w", ErrRedaction)
	}
	return r, nil
}

// partsOf lists the files of a capture that went on in further ones, by the name of its first.
func (e *Evidence) partsOf(name string) []Part {
	for _, r := range e.Records {
		if r.Kind == KindCapture {
			if c, err := decodeBody[Capture](r); err == nil && c.File == name && len(c.Parts) > 0 {
				return c.Parts
			}
		}
	}
	return nil
}

func (c *container) writeRedacted(ctx context.Context, to *os.File, r *redaction) error {
	w := &writer{f: to}
	for _, e := range c.entries {
		if e.isFile() && slices.Contains(r.Files, e.name[len(filesName)+1:]) {
			continue
		}
		if e.name == journalName {
			b, _, err := c.small(journalName, maxJournal)
			if err != nil {
				return err
			}
			if err := w.bytes(journalName, withhold(b, r.Records)); err != nil {
				return err
			}
			continue
		}
		if err := w.copy(e, &stoppable{ctx, io.NewSectionReader(c.r, int64(e.data()), int64(e.size))}); err != nil {
			return err
		}
	}
	b, err := r.encode()
	if err != nil {
		return err
	}
	if err := w.bytes(redactionName, b); err != nil {
		return err
	}
	return w.finish()
}

// withhold puts their leaves into the place of some lines.
func withhold(journal []byte, records []uint64) []byte {
	lines := bytes.Split(bytes.TrimSuffix(journal, []byte("\n")), []byte("\n"))
	for _, seq := range records {
		lines[seq-1] = encodeLine(Record{Kind: KindWithheld, Leaf: leafHash(lines[seq-1]).String()})
	}
	return append(bytes.Join(lines, []byte("\n")), '\n')
}
