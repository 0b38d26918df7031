package mcuboot

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Version is that of an MCUboot header: major.minor.revision+build.
type Version struct {
	Major    uint8
	Minor    uint8
	Revision uint16
	Build    uint32
}

// ParseVersion reads "1.2.3" or "1.2.3+4": decimal, no signs, no leading zeros.
func ParseVersion(s string) (Version, error) {
	core, build, hasBuild := strings.Cut(s, "+")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return Version{}, fmt.Errorf("parse version %.40q: want major.minor.revision", s)
	}
	if !hasBuild {
		build = "0"
	}
	var n [4]uint64
	for i, f := range []struct {
		text string
		bits int
	}{{parts[0], 8}, {parts[1], 8}, {parts[2], 16}, {build, 32}} {
		v, err := decimal(f.text, f.bits)
		if err != nil {
			return Version{}, fmt.Errorf("parse version %.40q: %w", s, err)
		}
		n[i] = v
	}
	return Version{Major: uint8(n[0]), Minor: uint8(n[1]), Revision: uint16(n[2]), Build: uint32(n[3])}, nil
}

// String writes the version as ParseVersion reads it; a build of 0 is left out.
func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Revision)
	if v.Build != 0 {
		s += fmt.Sprintf("+%d", v.Build)
	}
	return s
}

// Compare returns -1, 0 or 1. The build number counts, which MCUboot itself does
// only when built with MCUBOOT_VERSION_CMP_USE_BUILD_NUMBER.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor),
		cmp.Compare(v.Revision, o.Revision), cmp.Compare(v.Build, o.Build))
}

func decimal(s string, bits int) (uint64, error) {
	if len(s) > 1 && s[0] == '0' || strings.HasPrefix(s, "+") {
		return 0, errors.New("sign or leading zero")
	}
	v, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%.20q is no number of %d bits", s, bits)
	}
	return v, nil
}

func compareVersions(a, b string) (int, error) {
	va, err := ParseVersion(a)
	if err != nil {
		return 0, err
	}
	vb, err := ParseVersion(b)
	if err != nil {
		return 0, err
	}
	return va.Compare(vb), nil
}
