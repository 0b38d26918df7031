//go:build !windows

package evidence

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile keeps other writers away until the file is closed, also by the end of its process.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return ErrBusy
	case err != nil:
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// hardLink gives a file a second name.
func hardLink(from, to string) error { return os.Link(from, to) }

// syncDir makes the names in a directory survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
