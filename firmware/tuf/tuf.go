// Package tuf tells whether a folder is what a TUF repository (TUF 1.0), or the pair of them
// that Uptane has (director and image repository), really offers: metadata under threshold
// signatures, fresh, complete, and the target files that it vouches for. The root, and what
// a device had already seen, come from the caller, never from the folder. It downloads
// nothing and reads no clock.
package tuf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode"

	"assay/firmware/format"
)

// Name of the format, also in format.Trust.Own.
const Name = "tuf"

// Limits of a client (TUF section 5.3 leaves the numbers to it; these are go-tuf's), in bytes.
const (
	maxRoot      = 512_000
	maxTimestamp = 16_384
	maxSnapshot  = 2_000_000
	maxTargets   = 5_000_000

	maxRotations   = 256 // roots from the trusted one to the newest
	maxDelegations = 32  // roles asked about one target
	maxDepth       = 32  // of the JSON
)

// The roles that every repository has.
const (
	roleRoot      = "root"
	roleTimestamp = "timestamp"
	roleSnapshot  = "snapshot"
	roleTargets   = "targets"
)

// The repositories of Uptane; a plain one has no name.
const (
	director = "director"
	imageRep = "image"
)

// An Image is a folder with one repository or, for Uptane, two.
type Image struct {
	dir      fs.FS
	repos    []*repo
	verified map[string]target // by path: what the last Verify found genuine and here
}

// Format describes TUF to the front door.
func Format() format.Format {
	return format.Format{
		Name:   Name,
		Detect: func(in format.Input) bool { return in.Dir != nil && len(find(in.Dir)) > 0 },
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := OpenUnverified(in)
			if err != nil {
				return nil, err // a nil *Image in an interface would not be nil
			}
			return img, nil
		},
		Compare:  compare,
		Anchor:   isMetadata,
		Variants: variants(),
	}
}

// compare orders versions of the targets metadata.
func compare(a, b string) (int, error) {
	x, errA := strconv.ParseInt(a, 10, 64)
	y, errB := strconv.ParseInt(b, 10, 64)
	if err := errors.Join(errA, errB); err != nil {
		return 0, malformed("compare versions: %v", err)
	}
	switch {
	case x < y:
		return -1, nil
	case x > y:
		return 1, nil
	}
	return 0, nil
}

// isMetadata takes the metadata of one of the four roles: a root, or what a device had already seen.
func isMetadata(b []byte) bool {
	if len(b) > maxTargets || !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) || !bytes.Contains(b, []byte(`"_type"`)) {
		return false
	}
	var d struct {
		Signatures json.RawMessage `json:"signatures"`
		Signed     struct {
			Type string `json:"_type"`
		} `json:"signed"`
	}
	if json.Unmarshal(b, &d) != nil || d.Signatures == nil {
		return false
	}
	switch d.Signed.Type {
	case roleRoot, roleTimestamp, roleSnapshot, roleTargets:
		return true
	}
	return false
}

// find tells the repositories of a folder by the timestamp metadata, which every one has.
func find(dir fs.FS) []*repo {
	at := func(name, base string) *repo {
		for _, metadata := range []string{path.Join(base, "metadata"), base} {
			if info, err := fs.Stat(dir, path.Join(metadata, "timestamp.json")); err == nil && info.Mode().IsRegular() {
				return &repo{name: name, base: base, metadata: metadata}
			}
		}
		return nil
	}
	if d, i := at(director, "director"), at(imageRep, "image"); d != nil && i != nil {
		return []*repo{d, i}
	}
	if r := at("", "."); r != nil {
		return []*repo{r}
	}
	return nil
}

// OpenUnverified reads the metadata of a folder; its target files are read by Verify alone.
func OpenUnverified(in format.Input) (*Image, error) {
	if in.Dir == nil {
		return nil, malformed("open tuf repository: not a folder")
	}
	img := &Image{dir: in.Dir, repos: find(in.Dir)}
	if len(img.repos) == 0 {
		return nil, malformed("open tuf repository: no timestamp.json")
	}
	for _, r := range img.repos {
		if err := r.read(in.Dir); err != nil {
			return nil, fmt.Errorf("open tuf repository %s: %w", r.name, err)
		}
	}
	return img, nil
}

func malformed(s string, args ...any) error { return wrap(format.ErrMalformed, s, args...) }

func wrap(err error, s string, args ...any) error {
	return fmt.Errorf("%s: %w", oneLine(fmt.Sprintf(s, args...)), err)
}

// oneLine keeps what hostile metadata put into an error from becoming lines of a report.
func oneLine(s string) string {
	const most = 400
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
