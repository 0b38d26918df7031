package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Names inside a run directory and a bundle.
const (
	journalName = "journal.jsonl"
	filesName   = "files"
)

// ErrJournal is the family of a journal that takes no more records.
var ErrJournal = errors.New("journal takes no more records")

// A Journal is a run's append-only record. It is safe for concurrent use.
type Journal struct {
	dir string
	now func() time.Time

	mu     sync.Mutex // guards what follows
	f      *os.File
	start  time.Time // with its monotonic reading, where the clock has one
	seq    uint64
	prev   string
	last   time.Time
	size   int64 // of the finished lines
	ended  bool
	names  map[string]bool // artefacts, also those being added
	parts  int             // temporary files made so far
	failed error           // why no record is taken any more
}

// Create starts a journal in dir, which it makes. A directory that has a journal
// already is refused. now is the bench's clock.
func Create(dir string, now func() time.Time) (*Journal, error) {
	if now == nil {
		return nil, fmt.Errorf("create journal in %s: no clock", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, filesName), 0o700); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	if err = lockFile(f); err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create journal in %s: %w", dir, err), f.Close())
	}
	return &Journal{dir: dir, now: now, f: f, start: now(), prev: genesis, names: map[string]bool{}}, nil
}

// Resume opens the journal of a run that was interrupted. A last line that was never
// finished is cut off, and a record of kind gap says so and keeps its bytes. An ended
// journal is refused, and so are one that somebody else is writing (ErrBusy) and a clock
// that stands before the last record.
func Resume(dir string, now func() time.Time) (*Journal, error) {
	if now == nil {
		return nil, fmt.Errorf("resume journal in %s: no clock", dir)
	}
	f, err := openLocked(dir)
	if err != nil {
		return nil, fmt.Errorf("resume journal: %w", err)
	}
	j, err := resume(dir, f, now)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

func resume(dir string, f *os.File, now func() time.Time) (*Journal, error) {
	e, c, err := openDir(dir)
	if err != nil {
		return nil, fmt.Errorf("resume journal: %w", err)
	}
	j := &Journal{dir: dir, now: now, f: f, start: now(), prev: genesis, size: c.whole(), names: map[string]bool{}}
	if n := len(e.Records); n > 0 {
		r := e.Records[n-1]
		j.seq, j.prev, j.last = r.Seq, r.Digest, r.Time
	}
	switch {
	case e.Ended:
		return nil, fmt.Errorf("resume journal in %s: it has ended: %w", dir, ErrJournal)
	case j.start.Before(j.last):
		return nil, fmt.Errorf("resume journal in %s: the clock says %s, but the last record is of %s",
			dir, j.start.UTC().Format(time.RFC3339), j.last.Format(time.RFC3339))
	}
	for _, a := range e.Artefacts {
		j.names[a.Name] = true
	}
	if c.torn > 0 {
		if err := os.Truncate(f.Name(), j.size); err != nil {
			return nil, fmt.Errorf("resume journal: cut off its torn tail: %w", err)
		}
	}
	// A journal that was killed before its first record has nothing to be a gap in.
	if c.torn > 0 && j.seq > 0 {
		sum := sha256.Sum256(c.tail)
		_, err := j.Append(KindGap, map[string]any{
			"what": TornTail, "from": j.last, "to": j.stamp(), "bytes": c.torn, "sha256": hex.EncodeToString(sum[:]),
			"kept": c.tail[:min(len(c.tail), maxTail)],
		})
		if err != nil {
			return nil, err
		}
	}
	return j, nil
}

// Append writes one record and returns when it is on the disk. After an error of the
// disk the journal takes nothing more, because nobody can tell what the file holds:
// everything acknowledged before stays readable. A body that cannot be written is
// refused and changes nothing. body must encode as a JSON object; nil is an empty one.
func (j *Journal) Append(kind string, body any) (Record, error) {
	if kind == KindArtefact {
		return Record{}, errors.New("append artefact to journal: artefacts come in by AddBytes and AddFile")
	}
	return j.append(kind, body)
}

func (j *Journal) append(kind string, body any) (Record, error) {
	raw, err := encodeBody(body)
	if err != nil {
		return Record{}, fmt.Errorf("append %s to journal: %w", kind, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return Record{}, fmt.Errorf("append %s to journal in %s: %w", kind, j.dir, j.failed)
	}
	if err := j.order(kind); err != nil {
		return Record{}, fmt.Errorf("append %s to journal in %s: %w", kind, j.dir, err)
	}
	at := j.stamp()
	line := encodeLine(Record{Seq: j.seq + 1, Time: at, Kind: kind, Prev: j.prev, Salt: newSalt(kind), Body: raw})
	// Reading the line back with the verifier's own eyes keeps out what would not verify.
	r, err := parseLine(line)
	if err == nil {
		err = checkRecord(r)
	}
	if err == nil && j.size+int64(len(line)) >= maxJournal {
		err = fmt.Errorf("the journal would grow beyond %d bytes", maxJournal)
	}
	if err != nil {
		return Record{}, fmt.Errorf("append %s to journal in %s: %w", kind, j.dir, err)
	}
	if err := j.write(append(line, '\n')); err != nil {
		j.failed = fmt.Errorf("%w: %w", ErrJournal, err)
		return Record{}, fmt.Errorf("append %s to journal in %s: %w", kind, j.dir, j.failed)
	}
	j.seq, j.prev, j.last, j.ended = r.Seq, r.Digest, r.Time, kind == KindEnd
	return r, nil
}

// order keeps begin first, end last and kinds known, so that what is written can be sealed.
func (j *Journal) order(kind string) error {
	switch {
	case !slices.Contains(Kinds, kind):
		return fmt.Errorf("unknown kind %q", kind)
	case j.ended:
		return fmt.Errorf("it has ended: %w", ErrJournal)
	case (j.seq == 0) != (kind == KindBegin):
		return errors.New("begin is the first record, and only the first")
	}
	return nil
}

// stamp tells the time of the next record. Within one process it follows the
// monotonic clock, so that a bench whose wall clock is set back mid-run still writes
// a journal whose times never run backwards.
func (j *Journal) stamp() time.Time {
	t := j.start.Add(j.now().Sub(j.start)).UTC().Round(0)
	if t.Before(j.last) {
		return j.last
	}
	return t
}

// write puts one line at the end of the file, in one call, and syncs it. It first
// makes sure that the file still is the one that was opened and ends where this
// journal left it: a lost or foreign file must not swallow records silently.
func (j *Journal) write(line []byte) error {
	held, err := j.f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(filepath.Join(j.dir, journalName))
	if err != nil {
		return fmt.Errorf("the file is lost: %w", err)
	}
	if !os.SameFile(held, named) {
		return errors.New("the file is lost: another one has its name")
	}
	if held.Size() != j.size {
		return fmt.Errorf("the file has %d bytes where %d were written: somebody else wrote it", held.Size(), j.size)
	}
	n, err := j.f.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("%d of %d bytes written: %w", n, len(line), err)
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.size += int64(n)
	return nil
}

// Err tells why the journal takes no more records; nil as long as it does.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// Dir is the run directory.
func (j *Journal) Dir() string { return j.dir }

// Close ends writing. Every acknowledged record is on the disk already.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = fmt.Errorf("%w: it is closed", ErrJournal)
	}
	if err := j.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close journal in %s: %w", j.dir, err)
	}
	return nil
}
