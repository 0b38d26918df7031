package evidence

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile keeps other writers away until the file is closed, also by the end of its process. A locked
// range cannot be read by others, hence one byte far beyond the end.
func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0,
		&windows.Overlapped{OffsetHigh: math.MaxInt32})
	switch {
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return ErrBusy
	case err != nil:
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// hardLink is never used here: a file opened for reading cannot be synced on Windows,
// so artefacts are copied.
func hardLink(_, _ string) error { return errors.ErrUnsupported }

// syncDir does nothing: NTFS journals names by itself, and a directory has no handle to flush.
func syncDir(string) error { return nil }
