package rauc

import (
	"errors"
	"fmt"
	"io"

	"assay/firmware/format"
	"assay/firmware/inspect/squashfs"
	"assay/firmware/inspect/tree"
)

const squashfsMagic = "hsqs"

var (
	errNoManifest = errors.New("there is no manifest.raucm in the payload")
	errSeen       = errors.New("the file was found")
)

// readSquashfsFile returns one regular file of the root folder, at most maxManifest bytes,
// whatever the squashfs is compressed with: rauc lets a maker choose.
func readSquashfsFile(src format.Source, file string) ([]byte, error) {
	var text []byte
	_, err := squashfs.Walk(src, func(e tree.Entry) error {
		if name, _ := tree.Clean(e.Name); name != "/"+file {
			return nil
		}
		if !e.Mode.IsRegular() {
			return fmt.Errorf("%s is no regular file", file)
		}
		if e.Size > maxManifest {
			return fmt.Errorf("%s has %d bytes, at most %d are read", file, e.Size, maxManifest)
		}
		r, err := e.Open()
		if err != nil {
			return err
		}
		if text, err = io.ReadAll(io.LimitReader(r, maxManifest+1)); err != nil {
			return err
		}
		if int64(len(text)) != e.Size {
			return fmt.Errorf("%s has %d bytes of %d", file, len(text), e.Size)
		}
		return errSeen
	})
	switch {
	case errors.Is(err, errSeen):
		return text, nil
	case err == nil:
		return nil, errNoManifest
	}
	return nil, fmt.Errorf("squashfs: %v", err) // what is signed is not malformed because it cannot be read here
}
