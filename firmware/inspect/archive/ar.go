package archive

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

// Ar is a tree.Reader for Unix archives, as Debian and opkg packages are. Names longer than
// 15 bytes (static libraries) are told as they stand.
func Ar(src format.Source, visit tree.Visit) (int64, error) {
	if string(src.Head(8)) != "!<arch>\n" {
		return 0, tree.Broken("no ar archive")
	}
	at := int64(8)
	for range maxEntries {
		if at+60 > src.Size() {
			return min(at, src.Size()), nil
		}
		h, err := src.Bytes(at, 60)
		if err != nil {
			return at, err
		}
		if string(h[58:]) != "`\n" {
			return at, nil // what follows is not of the archive
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
		if err != nil || size < 0 || size > src.Size()-at-60 {
			return at, tree.Broken("ar member of %q bytes at %d", h[48:58], at)
		}
		mode, err := strconv.ParseUint(strings.TrimSpace(string(h[40:48])), 8, 32)
		if err != nil {
			mode = 0
		}
		s := format.NewSource(src.Section(at+60, size), size)
		name := strings.TrimSuffix(strings.TrimSpace(string(h[:16])), "/")
		if name == "" || name == "/" {
			name = fmt.Sprintf("index-%d", at)
		}
		if err := visit(tree.Entry{Name: name, Mode: fs.FileMode(mode & 0o777), Size: size, Place: &s}); err != nil {
			return at, err
		}
		at = up(at+60+size, 2)
	}
	return at, fmt.Errorf("%d members: %w", maxEntries, tree.ErrLimit)
}
