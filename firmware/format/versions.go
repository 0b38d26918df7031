package format

import (
	"cmp"
	"fmt"
	"strings"
)

// CompareVersions orders two versions of a format that writes none itself, so that they are the
// maker's: parts between dots, dashes, plus signs and underscores, numbers by value and anything else by
// its letters, a missing part before any other.
func CompareVersions(a, b string) (int, error) {
	if a == "" || b == "" {
		return 0, fmt.Errorf("compare versions %q and %q: one is empty: %w", a, b, ErrMalformed)
	}
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(".-+_", r) })
	}
	x, y := split(a), split(b)
	for i := range min(len(x), len(y)) {
		if c := comparePart(x[i], y[i]); c != 0 {
			return c, nil
		}
	}
	return cmp.Compare(len(x), len(y)), nil
}

func comparePart(a, b string) int {
	if digits(a) && digits(b) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
