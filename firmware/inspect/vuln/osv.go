package vuln

import (
	"slices"
	"strings"
)

// advisory is one entry of OSV, as much of it as decides a match (OSV schema 1.x).
type advisory struct {
	ID        string     `json:"id"`
	Aliases   []string   `json:"aliases"`
	Upstream  []string   `json:"upstream"`
	Modified  string     `json:"modified"`
	Withdrawn string     `json:"withdrawn"`
	Affected  []affected `json:"affected"`
	file      int
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
		PURL      string `json:"purl"`
	} `json:"package"`
	Ranges   []versionRange `json:"ranges"`
	Versions []string       `json:"versions"`
}

type versionRange struct {
	Type   string `json:"type"`
	Events []struct {
		Introduced   string `json:"introduced"`
		Fixed        string `json:"fixed"`
		LastAffected string `json:"last_affected"`
		Limit        string `json:"limit"`
	} `json:"events"`
}

// upstream ecosystems list a project's own versions.
func upstream(ecosystem string) bool {
	switch ecosystem {
	case "", "generic", "OSS-Fuzz", "Linux", "Bitnami", "GIT":
		return true
	}
	return false
}

// hits tells whether the entry names the version, and by which words.
func (a affected) hits(version string) (bool, string) {
	if slices.Contains(a.Versions, version) || slices.Contains(a.Versions, "v"+version) {
		return true, "listed version"
	}
	for _, r := range a.Ranges {
		if r.Type != "GIT" && r.holds(a.Package.Ecosystem, version) {
			return true, r.words()
		}
	}
	return false, ""
}

type event struct {
	version string
	kind    int // 0 introduced, 1 fixed, 2 last affected
}

// holds evaluates a range: the last event at or before the version decides.
func (r versionRange) holds(ecosystem, version string) bool {
	if r.Type == "SEMVER" {
		ecosystem = "Go"
	}
	compare := func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == "0":
			return -1
		case b == "0":
			return 1
		}
		return Compare(ecosystem, a, b)
	}
	var events []event
	for _, e := range r.Events {
		for kind, v := range []string{e.Introduced, e.Fixed, e.LastAffected} {
			if v != "" {
				events = append(events, event{v, kind})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return compare(a.version, b.version) })
	hit := false
	for _, e := range events {
		c := compare(e.version, version)
		switch {
		case e.kind == 0 && c <= 0:
			hit = true
		case e.kind == 1 && c <= 0:
			hit = false
		case e.kind == 2 && c < 0:
			hit = false
		}
	}
	return hit
}

func (r versionRange) words() string {
	var out []string
	for _, e := range r.Events {
		switch {
		case e.Introduced != "":
			out = append(out, "from "+e.Introduced)
		case e.Fixed != "":
			out = append(out, "fixed in "+e.Fixed)
		case e.LastAffected != "":
			out = append(out, "up to "+e.LastAffected)
		}
	}
	return strings.Join(out, ", ")
}

// purlBase is a package URL without version, qualifiers and subpath.
func purlBase(p string) (base, version string) {
	p, _, _ = strings.Cut(p, "#")
	p, _, _ = strings.Cut(p, "?")
	if i := strings.LastIndexByte(p, '@'); i > strings.LastIndexByte(p, '/') {
		return p[:i], strings.NewReplacer("%2B", "+", "%3A", ":", "%2b", "+", "%3a", ":", "%7E", "~").Replace(p[i+1:])
	}
	return p, ""
}
