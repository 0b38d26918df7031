package evidence

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrBusy says that another process is writing the journal.
var ErrBusy = errors.New("another process is writing this run")

// TornTail is what a gap tells of a last line that was never finished.
const TornTail = "torn tail of the journal"

// maxTail is how much of such a line is kept.
const maxTail = 64 << 10

// Hold keeps every other writer away from a run directory until it is closed. A running
// Journal holds its directory by itself.
func Hold(dir string) (io.Closer, error) {
	f, err := openLocked(dir)
	if err != nil {
		return nil, fmt.Errorf("hold the run in %s: %w", dir, err)
	}
	return f, nil
}

// openLocked opens a journal for appending, and for nobody else.
func openLocked(dir string) (*os.File, error) {
	path := filepath.Join(dir, journalName)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// A pipe would wait for its reader for ever.
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0) // RDWR: Windows locks no file that is only appended to
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
