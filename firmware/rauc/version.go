package rauc

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A version is what min-bundle-version compares: major[.minor[.patch]][-prerelease][+build].
// Missing numbers are zero, leading zeros are allowed, a prerelease comes before its release.
type version struct {
	numbers [3]uint64
	pre     []string
}

func parseVersion(s string) (version, error) {
	var v version
	rest, _, _ := strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(rest, "-")
	parts := strings.Split(core, ".")
	if len(parts) > len(v.numbers) {
		return v, fmt.Errorf("version %q has more than three numbers", s)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil || p[0] == '+' {
			return v, fmt.Errorf("version %q is not major[.minor[.patch]][-prerelease]", s)
		}
		v.numbers[i] = n
	}
	if !hasPre {
		return v, nil
	}
	v.pre = strings.Split(pre, ".")
	for _, p := range v.pre {
		if p == "" || strings.Trim(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			return v, fmt.Errorf("version %q: prerelease %q", s, pre)
		}
	}
	return v, nil
}

func compareVersions(a, b string) (int, error) {
	x, errA := parseVersion(a)
	y, errB := parseVersion(b)
	if err := errors.Join(errA, errB); err != nil {
		return 0, err
	}
	for i := range x.numbers {
		if c := cmp.Compare(x.numbers[i], y.numbers[i]); c != 0 {
			return c, nil
		}
	}
	if len(x.pre) == 0 || len(y.pre) == 0 {
		return cmp.Compare(len(y.pre), len(x.pre)), nil // the one without comes later
	}
	for i := 0; i < len(x.pre) && i < len(y.pre); i++ {
		if c := compareIdentifiers(x.pre[i], y.pre[i]); c != 0 {
			return c, nil
		}
	}
	return cmp.Compare(len(x.pre), len(y.pre)), nil
}

// compareIdentifiers: numbers by value and before words, words by their bytes.
func compareIdentifiers(a, b string) int {
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	switch {
	case errA == nil && errB == nil:
		return cmp.Compare(x, y)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return cmp.Compare(a, b)
}
