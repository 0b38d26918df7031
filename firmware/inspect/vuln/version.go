package vuln

import (
	"cmp"
	"strings"
)

// Compare orders two versions as an ecosystem writes them: -1, 0 or 1. Ecosystems are named as
// OSV names them; one that is not known is compared as upstream projects number.
func Compare(ecosystem, a, b string) int {
	family, _, _ := strings.Cut(ecosystem, ":")
	switch family {
	case "Debian", "Ubuntu":
		return compareDebian(a, b)
	case "Alpine", "Wolfi", "Chainguard", "Alpaquita":
		return compareAlpine(a, b)
	case "Red Hat", "Rocky Linux", "AlmaLinux", "SUSE", "openSUSE", "Mageia", "openEuler", "Photon OS", "rpm":
		return compareRPM(a, b)
	case "Go", "npm", "crates.io", "Hex", "Pub", "SwiftURL":
		return compareSemantic(a, b)
	}
	return compareUpstream(a, b)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// number cuts the digits at the head of s, without leading zeros.
func number(s string) (digits, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return strings.TrimLeft(s[:i], "0"), s[i:]
}

func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// compareDebian follows Debian policy, section 5.6.12.
func compareDebian(a, b string) int {
	split := func(v string) (epoch, upstream, revision string) {
		if e, rest, ok := strings.Cut(v, ":"); ok {
			epoch, v = e, rest
		}
		if i := strings.LastIndexByte(v, '-'); i >= 0 {
			return epoch, v[:i], v[i+1:]
		}
		return epoch, v, ""
	}
	ea, ua, ra := split(a)
	eb, ub, rb := split(b)
	return cmp.Or(compareNumbers(strings.TrimLeft(ea, "0"), strings.TrimLeft(eb, "0")), debianPart(ua, ub), debianPart(ra, rb))
}

func debianPart(a, b string) int {
	order := func(s string, i int) int {
		switch {
		case i >= len(s) || isDigit(s[i]):
			return 0
		case s[i] == '~':
			return -1
		case isAlpha(s[i]):
			return int(s[i])
		}
		return int(s[i]) + 256
	}
	for a != "" || b != "" {
		i := 0
		for (i < len(a) && !isDigit(a[i])) || (i < len(b) && !isDigit(b[i])) {
			if c := cmp.Compare(order(a, i), order(b, i)); c != 0 {
				return c
			}
			i++
		}
		var na, nb string
		na, a = number(a[min(i, len(a)):])
		nb, b = number(b[min(i, len(b)):])
		if c := compareNumbers(na, nb); c != 0 {
			return c
		}
	}
	return 0
}

// compareRPM follows rpmvercmp, for [epoch:]version[-release].
func compareRPM(a, b string) int {
	split := func(v string) (epoch, version, release string) {
		if e, rest, ok := strings.Cut(v, ":"); ok {
			epoch, v = e, rest
		}
		version, release, _ = strings.Cut(v, "-")
		return strings.TrimLeft(epoch, "0"), version, release
	}
	ea, va, ra := split(a)
	eb, vb, rb := split(b)
	if c := cmp.Or(compareNumbers(ea, eb), rpmPart(va, vb)); c != 0 || ra == "" || rb == "" {
		return c
	}
	return rpmPart(ra, rb)
}

func rpmPart(a, b string) int {
	sep := func(s string) string {
		return strings.TrimLeftFunc(s, func(r rune) bool {
			return r > 127 || !isDigit(byte(r)) && !isAlpha(byte(r)) && r != '~' && r != '^'
		})
	}
	for {
		a, b = sep(a), sep(b)
		for _, mark := range []byte{'~', '^'} {
			ha, hb := a != "" && a[0] == mark, b != "" && b[0] == mark
			if !ha && !hb {
				continue
			}
			if ha && hb {
				a, b = a[1:], b[1:]
				break
			}
			// A tilde sorts before everything, also the end; a caret behind the end, before anything else.
			if mark == '~' && ha || mark == '^' && (ha && b != "" || hb && a == "") {
				return -1
			}
			return 1
		}
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		if isDigit(a[0]) != isDigit(b[0]) {
			if isDigit(a[0]) {
				return 1
			}
			if isDigit(b[0]) {
				return -1
			}
		}
		var pa, pb string
		if isDigit(a[0]) {
			pa, a = number(a)
			pb, b = number(b)
			if c := compareNumbers(pa, pb); c != 0 {
				return c
			}
			continue
		}
		pa, a = letters(a)
		pb, b = letters(b)
		if c := strings.Compare(pa, pb); c != 0 {
			return c
		}
		if pa == "" {
			return strings.Compare(a, b)
		}
	}
}

func letters(s string) (head, rest string) {
	i := 0
	for i < len(s) && isAlpha(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// alpineSuffixes in order; a version without any stands between.
var alpineSuffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

// compareAlpine follows apk-tools: numbers, one letter, suffixes, -r and the build.
func compareAlpine(a, b string) int {
	va, ba := cutBuild(a)
	vb, bb := cutBuild(b)
	na, sa, _ := strings.Cut(va, "_")
	nb, sb, _ := strings.Cut(vb, "_")
	return cmp.Or(compareUpstream(na, nb), compareSuffix(sa, sb), compareNumbers(ba, bb))
}

func cutBuild(v string) (version, build string) {
	if i := strings.LastIndex(v, "-r"); i >= 0 {
		if n, rest := number(v[i+2:]); rest == "" {
			return v[:i], n
		}
	}
	return v, ""
}

func compareSuffix(a, b string) int {
	for a != "" || b != "" {
		var pa, pb string
		pa, a, _ = strings.Cut(a, "_")
		pb, b, _ = strings.Cut(b, "_")
		wa, na := letters(pa)
		wb, nb := letters(pb)
		rank := func(w string) int {
			for i, s := range alpineSuffixes {
				if s == w {
					return i
				}
			}
			return len(alpineSuffixes)
		}
		da, _ := number(na)
		db, _ := number(nb)
		if c := cmp.Or(cmp.Compare(rank(wa), rank(wb)), compareNumbers(da, db)); c != 0 {
			return c
		}
	}
	return 0
}

// compareSemantic follows semver.org, section 11.
func compareSemantic(a, b string) int {
	a, _, _ = strings.Cut(strings.TrimPrefix(a, "v"), "+")
	b, _, _ = strings.Cut(strings.TrimPrefix(b, "v"), "+")
	ca, pa, _ := strings.Cut(a, "-")
	cb, pb, _ := strings.Cut(b, "-")
	xa, xb := strings.Split(ca, "."), strings.Split(cb, ".")
	for i := range max(len(xa), len(xb)) {
		var na, nb string
		if i < len(xa) {
			na, _ = number(xa[i])
		}
		if i < len(xb) {
			nb, _ = number(xb[i])
		}
		if c := compareNumbers(na, nb); c != 0 {
			return c
		}
	}
	switch {
	case pa == pb:
		return 0
	case pa == "":
		return 1
	case pb == "":
		return -1
	}
	return comparePrerelease(strings.Split(pa, "."), strings.Split(pb, "."))
}

func comparePrerelease(a, b []string) int {
	for i := range min(len(a), len(b)) {
		na, ra := number(a[i])
		nb, rb := number(b[i])
		isA, isB := ra == "" && a[i] != "", rb == "" && b[i] != ""
		switch {
		case isA && isB:
			if c := compareNumbers(na, nb); c != 0 {
				return c
			}
		case isA:
			return -1
		case isB:
			return 1
		default:
			if c := strings.Compare(a[i], b[i]); c != 0 {
				return c
			}
		}
	}
	return cmp.Compare(len(a), len(b))
}

// early are words that put a version before the one without them.
var early = map[string]bool{"alpha": true, "beta": true, "rc": true, "pre": true, "dev": true, "preview": true}

// compareUpstream compares numbers and letters in turns: 1.1.1 < 1.1.1d < 1.1.2, 2.0rc1 < 2.0.
func compareUpstream(a, b string) int {
	pa, pb := parts(a), parts(b)
	for i := range max(len(pa), len(pb)) {
		x, y := "", ""
		if i < len(pa) {
			x = pa[i]
		}
		if i < len(pb) {
			y = pb[i]
		}
		if c := comparePart(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func comparePart(x, y string) int {
	if x == y {
		return 0
	}
	rank := func(s string) int {
		switch {
		case early[s]:
			return 0
		case s == "":
			return 1
		case isAlpha(s[0]):
			return 2
		}
		return 3
	}
	rx, ry := rank(x), rank(y)
	// A missing number counts as zero: 1.2 and 1.2.0 are the same.
	if rx == 1 && ry == 3 && strings.TrimLeft(y, "0") == "" || ry == 1 && rx == 3 && strings.TrimLeft(x, "0") == "" {
		return 0
	}
	if c := cmp.Compare(rx, ry); c != 0 {
		return c
	}
	if rx == 3 {
		nx, _ := number(x)
		ny, _ := number(y)
		return compareNumbers(nx, ny)
	}
	return strings.Compare(x, y)
}

func parts(v string) []string {
	v = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(v, "v"), "V"))
	if i := strings.IndexByte(v, '+'); i > 0 {
		v = v[:i]
	}
	var out []string
	for v != "" {
		switch {
		case isDigit(v[0]):
			i := 0
			for i < len(v) && isDigit(v[i]) {
				i++
			}
			out, v = append(out, v[:i]), v[i:]
		case isAlpha(v[0]):
			var w string
			w, v = letters(v)
			out = append(out, w)
		default:
			v = v[1:]
		}
	}
	return out
}
