//go:build !windows

package evidence

import (
	"errors"
	"os"
	"syscall"
)

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

// lockFile keeps a second writer off for as long as f is open.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.New("somebody else is writing it: try again")
	}
	return err
}
