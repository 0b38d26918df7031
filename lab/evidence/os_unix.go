//go:build !windows

package evidence

import (
	"errors"
	"os"
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
