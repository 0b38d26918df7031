package swupdate

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// compareVersions orders as SWUpdate does: up to four numbers below 65536 each, else
// semantic versions, else texts.
func compareVersions(a, b string) int {
	if x, ok := numbered(a); ok {
		if y, ok := numbered(b); ok {
			return slices.Compare(x[:], y[:])
		}
	}
	if x, ok := parseSemver(a); ok {
		if y, ok := parseSemver(b); ok {
			return x.compare(y)
		}
	}
	return strings.Compare(a, b)
}

// numbered reads a version of numbers; a fifth one and those behind it count for nothing.
func numbered(s string) (n [4]uint64, ok bool) {
	for i, part := range strings.Split(s, ".") {
		v, err := strconv.ParseUint(part, 10, 64)
		if err != nil || i < 4 && v > 0xffff {
			return n, false
		}
		if i < 4 {
			n[i] = v
		}
	}
	return n, true
}

type semver struct {
	numbers    [3]uint64
	prerelease string
}

// parseSemver is as lenient as SWUpdate: one to three numbers, then -prerelease, then +metadata.
func parseSemver(s string) (v semver, ok bool) {
	if strings.ContainsFunc(s, func(r rune) bool {
		return r > 0x7f || !isLetter(byte(r)) && !isDigit(byte(r)) && !strings.ContainsRune(".-+", r)
	}) {
		return v, false
	}
	s, _, _ = strings.Cut(s, "+")
	s, v.prerelease, _ = strings.Cut(s, "-")
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return v, false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return v, false
		}
		v.numbers[i] = n
	}
	return v, true
}

func (v semver) compare(o semver) int {
	if c := slices.Compare(v.numbers[:], o.numbers[:]); c != 0 {
		return c
	}
	switch {
	case v.prerelease == o.prerelease:
		return 0
	case v.prerelease == "":
		return 1
	case o.prerelease == "":
		return -1
	}
	a, b := strings.Split(v.prerelease, "."), strings.Split(o.prerelease, ".")
	for i := range min(len(a), len(b)) {
		x, errX := strconv.ParseUint(a[i], 10, 31)
		y, errY := strconv.ParseUint(b[i], 10, 31)
		c := 0
		switch {
		case errX == nil && errY == nil:
			c = cmp.Compare(x, y)
		case errX == nil:
			c = -1
		case errY == nil:
			c = 1
		default:
			c = strings.Compare(a[i], b[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
