// Package evidence keeps what a run saw so that somebody who trusts nobody can check
// it later without a device: an append-only journal written while the device is on
// the bench, the artefacts that belong to it, a seal over both, and the reader that
// recomputes every byte of them. It never judges what was seen, never repairs what is
// broken, and never takes a key from the evidence it is asked to check.
package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"assay/probes"
)

// The kinds of records. They are a closed vocabulary; names in evidence are API.
const (
	KindBegin       = "begin"       // first record: who, where, with which program
	KindUnit        = "unit"        // the specimen on the bench
	KindBench       = "bench"       // the instruments
	KindPlan        = "plan"        // what shall be asked, and what cannot
	KindStep        = "step"        // a step starts; its body has Step's fields among others
	KindObservation = "observation" // a probes.Observation
	KindHealth      = "health"      // the device between steps
	KindRestore     = "restore"     // the device was brought back to a known state, or not
	KindCapture     = "capture"     // a capture file closed; its body has Capture's fields among others
	KindArtefact    = "artefact"    // an Artefact; written by AddBytes and AddFile only
	KindReview      = "review"      // a named person's judgement of a document
	KindNote        = "note"
	KindSelfTest    = "selftest" // the bench's test of itself with a known-good device; never withheld: verdicts rest on it
	KindGap         = "gap"      // something that should be here is not, and why
	KindEnd         = "end"      // last record
)

// Kinds lists every kind.
var Kinds = []string{
	KindBegin, KindUnit, KindBench, KindPlan, KindStep, KindObservation, KindHealth,
	KindRestore, KindCapture, KindArtefact, KindReview, KindNote, KindSelfTest, KindGap, KindEnd,
}

// A Record is one line of the journal.
type Record struct {
	Seq  uint64          `json:"seq"`  // from 1, without a gap
	Time time.Time       `json:"time"` // UTC, never before the record before
	Kind string          `json:"kind"`
	Prev string          `json:"prev"`           // hex SHA-256 of the line before, without its newline; 64 zeros at first
	Salt string          `json:"salt,omitempty"` // 32 random hex digits where a redacted copy may leave the record out
	Body json.RawMessage `json:"body"`

	// Leaf is what a redacted copy has of a record that it leaves out: its leaf, in hex.
	Leaf string `json:"-"`
	// Digest is the hex SHA-256 of this line, which the next one names as Prev.
	Digest string `json:"-"`
}

// An Artefact is one file that belongs to the evidence, kept by its digest.
type Artefact struct {
	Name      string `json:"name"` // unique in a run, e.g. capture.pcapng
	MediaType string `json:"media_type"`
	SHA256    string `json:"sha256"` // hex
	Size      int64  `json:"size"`   // bytes
}

// Step is what a record of kind step says at least. Each one needs an observation
// with the same step and attempt before the evidence can be sealed.
type Step struct {
	Step    string `json:"step"`
	Attempt int    `json:"attempt,omitempty"` // 0 is read as 1
	Unit    string `json:"unit,omitempty"`    // where several are tested
}

// Capture is what a record of kind capture says at least about a finished capture
// file. The record of kind end may say it too, with the file as "capture".
type Capture struct {
	File    string `json:"file"`              // an artefact's name
	Frames  uint64 `json:"frames"`            // in the file
	Dropped uint64 `json:"dropped,omitempty"` // lost by the kernel
	// Parts are its files where it went on in further ones, File the first: frames are numbered through all of them.
	Parts []Part `json:"parts,omitempty"`
	// Cut: nobody closed it, and its last file ends inside a block, which counts for nothing.
	Cut bool `json:"cut,omitempty"`
}

// A Part is one file of a capture.
type Part struct {
	File   string `json:"file"`
	Frames uint64 `json:"frames"`
}

// check holds that the parts of a capture are the whole of it.
func (c Capture) check() error {
	if c.File == "" {
		return errors.New("capture: its body names no file")
	}
	if len(c.Parts) == 0 {
		return nil
	}
	var sum uint64
	seen := map[string]bool{}
	for _, p := range c.Parts {
		if p.File == "" || seen[p.File] {
			return fmt.Errorf("capture %s: a part has no name, or that of another one", c.File)
		}
		seen[p.File] = true
		sum += p.Frames
	}
	if c.Parts[0].File != c.File || sum != c.Frames {
		return fmt.Errorf("capture %s: its parts begin with %s and hold %d frames, not its %d", c.File, c.Parts[0].File, sum, c.Frames)
	}
	return nil
}

// Evidence is one run's record, as read from a run directory or a sealed bundle.
type Evidence struct {
	Path   string
	Sealed bool  // a bundle; a directory is never sealed and so never complete
	Ended  bool  // the journal has its last record
	Torn   int64 // bytes of a last line that was never finished, not counted; 0: none

	Records   []Record
	Artefacts []Artefact // in journal order

	Root      string     // hex Merkle root; empty for a directory
	Statement *Statement // what was signed; nil for a directory
	Hint      string     // names the key that signed: base64 SHA-256 of its SPKI; empty for a directory

	Signer *Certified // whom the seal's certificate names; nil: it is under a key, or a directory

	Stamp *Stamp // of an authority, over the seal; nil: none, or a directory

	Amendments []Amendment // what was said later, in order
	Through    string      // hex SHA-256 of the last amendment, of the seal where there is none; empty for a directory

	Redacted bool     // a copy that leaves something out
	Withheld []string // what: artefacts' names, and records as "record 17"

	byName map[string]int
	source source
}

// Observations reads the observations in journal order. Evidence that was verified has no broken one.
func (e *Evidence) Observations() ([]probes.Observation, error) {
	var all []probes.Observation
	for _, r := range e.Records {
		if r.Kind != KindObservation {
			continue
		}
		o, err := decodeBody[probes.Observation](r)
		if err != nil {
			return nil, broken(layerChain, lineName(int(r.Seq)), "%v", err)
		}
		all = append(all, o)
	}
	return all, nil
}

// Find returns the artefact with that name.
func (e *Evidence) Find(name string) (Artefact, bool) {
	i, ok := e.byName[name]
	if !ok {
		return Artefact{}, false
	}
	return e.Artefacts[i], true
}

// Artefact opens an artefact by name. The reader ends with a *Broken instead of io.EOF
// when what it gave out is not what the journal recorded, so that a file that is
// exchanged between verification and reading is still noticed.
func (e *Evidence) Artefact(name string) (io.ReadCloser, error) {
	a, ok := e.Find(name)
	if !ok {
		return nil, fmt.Errorf("open artefact %q: %w", name, fs.ErrNotExist)
	}
	r, err := e.source.open(a)
	if err != nil {
		return nil, fmt.Errorf("open artefact %q: %w", name, err)
	}
	return newChecked(r, a), nil
}

// ErrBroken is the family of everything that does not verify.
var ErrBroken = errors.New("evidence does not verify")

// Broken names the first thing that does not verify.
type Broken struct {
	What  string // the layer: container, chain, tree, seal, time-stamp, artefact, completeness, amendment
	Where string // e.g. "journal line 17", "files/ab12…", "seal/statement.sigstore.json"
	Why   string

	link int // chain only: the line whose prev does not fit the line before
}

func (b *Broken) Error() string {
	return fmt.Sprintf("%v: %s: %s: %s", ErrBroken, b.What, b.Where, b.Why)
}

// Unwrap makes errors.Is(err, ErrBroken) true.
func (b *Broken) Unwrap() error { return ErrBroken }

// The layers, in the order they are verified.
const (
	layerContainer = "container"
	layerChain     = "chain"
	layerArtefact  = "artefact"
	layerTree      = "tree"
	layerSeal      = "seal"
	layerStamp     = "time-stamp"
	layerAmend     = "amendment"
	layerComplete  = "completeness"
)

func broken(what, where, format string, args ...any) *Broken {
	return &Broken{What: what, Where: where, Why: fmt.Sprintf(format, args...)}
}

// lineName names a journal line in messages, counted from 1 as seq is.
func lineName(n int) string { return fmt.Sprintf("journal line %d", n) }

// checkName accepts names that stay inside a folder on every system, because
// somebody will unpack artefacts by them.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > 255:
		return fmt.Errorf("artefact name of %d bytes, want 1 to 255", len(name))
	case !utf8.ValidString(name) || !fs.ValidPath(name) || name == ".":
		return fmt.Errorf("artefact name %q is not a plain relative path", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`\:*?"<>|`, r) }):
		return fmt.Errorf("artefact name %q has a character that file systems refuse", name)
	}
	return nil
}
