// Package tree is the contract between the inspection and the readers of file systems and
// archives below it: a reader streams what it finds into a Visit, entry by entry. It writes no
// file, follows no link and makes no device: names and modes are data here, nothing else.
package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// Why a container is not read, or not to its end.
var (
	ErrBroken      = fmt.Errorf("broken container: %w", format.ErrMalformed)
	ErrUnsupported = errors.New("no reader for this kind of container")
	ErrLimit       = errors.New("limit reached")
	ErrLoop        = fmt.Errorf("directories in a circle: %w", ErrBroken)
)

// Bounds that every reader keeps, whatever the container says.
const (
	MaxDepth    = 64      // folders inside each other
	MaxName     = 4096    // bytes of a name or of a link's target
	MaxMetadata = 1 << 26 // bytes of tables that a reader holds at once
)

// An Entry is one file, folder, link or device of a container.
type Entry struct {
	Name    string      // as stored; Clean makes a path of it
	Mode    fs.FileMode // type, permissions, set-uid, set-gid, sticky
	NoMode  bool        // the container records no permissions
	UID     uint32
	GID     uint32
	Size    int64  // bytes, as the container says
	Target  string // of a symbolic link
	Segment bool   // a part of a boot image or a stream, without a name in a file system

	// One of the two for a regular file. Place is the data where it lies in one piece.
	Place *format.Source
	Open  func() (io.Reader, error)
}

// A Visit receives entries. Its error ends the walk and comes back from the reader.
type Visit func(Entry) error

// A Reader walks the container at the head of src and returns how many of its bytes
// belong to it. With an error come the entries visited before.
type Reader func(src format.Source, visit Visit) (used int64, err error)

// Mode translates the mode of Unix inodes.
func Mode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & 0o170000 {
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	case 0o060000:
		mode |= fs.ModeDevice
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o140000:
		mode |= fs.ModeSocket
	case 0o100000:
	default:
		mode |= fs.ModeIrregular
	}
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

// Clean makes a stored name an absolute path that cannot leave its container and that
// a terminal can show. escapes tells that the name tried to leave.
func Clean(name string) (clean string, escapes bool) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' })
	depth := 0
	for _, p := range parts {
		switch p {
		case "..":
			if depth--; depth < 0 {
				escapes = true
			}
		case ".":
		default:
			depth++
		}
	}
	// A backslash is a legal character of Unix names; only for the judgement is it a separator.
	clean = path.Clean("/" + name)
	if quoted := strconv.QuoteToGraphic(clean); len(quoted) != len(clean)+2 {
		clean = quoted[1 : len(quoted)-1]
	}
	return strings.ReplaceAll(clean, "!", `\x21`), escapes
}

// Broken is an error of one container.
func Broken(text string, args ...any) error {
	return fmt.Errorf(text+": %w", append(args, ErrBroken)...)
}

// A Lines of folders under way: it refuses circles and depths.
type Lines struct{ ids []uint64 }

// Enter goes into the folder with the id that is unique in its container.
func (l *Lines) Enter(id uint64) error {
	if len(l.ids) >= MaxDepth {
		return fmt.Errorf("more than %d folders inside each other: %w", MaxDepth, ErrLimit)
	}
	for _, known := range l.ids {
		if known == id {
			return ErrLoop
		}
	}
	l.ids = append(l.ids, id)
	return nil
}

// Leave goes back up.
func (l *Lines) Leave() { l.ids = l.ids[:len(l.ids)-1] }
