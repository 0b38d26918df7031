package detached

import (
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// Claims are what a trusted comment says in the form "name:value", parted by blanks or
// tabs, as minisign writes its own ("timestamp:1732490000	file:a.bin	hashed") and makers
// add theirs. Each name may occur once: a device that takes the last must not differ from one that takes the first.
type Claims struct {
	Version  string
	Hardware string // hw or hardware
	Product  string // product or device
}

func parseClaims(comment string) (Claims, error) {
	var c Claims
	for _, word := range strings.FieldsFunc(comment, func(r rune) bool { return r == ' ' || r == '\t' }) {
		name, value, ok := strings.Cut(word, ":")
		if !ok {
			continue
		}
		var field *string
		switch name {
		case "version":
			field = &c.Version
		case "hw", "hardware":
			field = &c.Hardware
		case "product", "device":
			field = &c.Product
		default:
			continue
		}
		if *field != "" {
			return Claims{}, format.Malformed("the trusted comment gives its %s twice", name)
		}
		*field = value
	}
	return c, nil
}

func (c Claims) targets() []string {
	var t []string
	if c.Hardware != "" {
		t = append(t, "hardware="+c.Hardware)
	}
	if c.Product != "" {
		t = append(t, "product="+c.Product)
	}
	return t
}

func (c Claims) check(d format.Device) error {
	if d.Counter != nil {
		return format.Wrap(format.ErrRollback, "the signature carries no counter")
	}
	if d.Version != "" {
		if _, err := parseVersion(d.Version); err != nil {
			return format.Wrap(format.ErrDevice, "%v", err)
		}
		n, err := compareVersions(c.Version, d.Version)
		if err != nil {
			return format.Wrap(format.ErrRollback, "the trusted comment's version: %v", err)
		}
		if n < 0 {
			return format.Wrap(format.ErrRollback, "version %s, the device runs %s", c.Version, d.Version)
		}
	}
	for name, own := range d.Is {
		var said string
		switch name {
		case "hardware", "hw":
			said = c.Hardware
		case "product", "device":
			said = c.Product
		}
		if said == "" {
			return format.Wrap(format.ErrWrongDevice, "the trusted comment does not say for which %s", name)
		}
		if said != own {
			return format.Wrap(format.ErrWrongDevice, "for %s %s, the device is %s", name, said, own)
		}
	}
	return nil
}

// compareVersions orders numbers parted by points; a missing one counts as zero.
func compareVersions(a, b string) (int, error) {
	x, err := parseVersion(a)
	if err != nil {
		return 0, err
	}
	y, err := parseVersion(b)
	if err != nil {
		return 0, err
	}
	for len(x) < len(y) {
		x = append(x, 0)
	}
	for len(y) < len(x) {
		y = append(y, 0)
	}
	return slices.Compare(x, y), nil
}

func parseVersion(s string) ([]uint64, error) {
	var v []uint64
	for part := range strings.SplitSeq(strings.TrimPrefix(s, "v"), ".") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil || len(v) == 16 {
			return nil, fmt.Errorf("version %q is not numbers parted by points", s)
		}
		v = append(v, n)
	}
	return v, nil
}

// newTee reads s and hashes what is read.
func newTee(s format.Source, h hash.Hash) io.Reader { return io.TeeReader(s.Section(0, s.Size()), h) }
