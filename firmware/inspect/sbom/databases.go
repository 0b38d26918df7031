package sbom

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"assay/firmware/inspect/found"
)

// File reads what a file says about software by its place and content.
func (s *Set) File(f found.File, at string) {
	base := path.Base(f.Name)
	switch {
	case len(f.Text) == 0:
	case strings.HasSuffix(f.Name, "/dpkg/status") || strings.Contains(f.Name, "/dpkg/status.d/"):
		s.paragraphs(f.Text, at, "Debian")
	case strings.HasSuffix(f.Name, "/opkg/status") || strings.Contains(f.Name, "/opkg/info/") && strings.HasSuffix(base, ".control"):
		s.paragraphs(f.Text, at, "opkg")
	case strings.HasSuffix(f.Name, "/apk/db/installed"):
		s.apk(f.Text, at)
	case base == "os-release" || base == "openwrt_release":
		s.osRelease(f.Text, at)
	case strings.HasSuffix(base, ".manifest") || base == "manifest":
		s.manifest(f.Text, at)
	case strings.HasSuffix(base, ".spdx.json") || strings.HasSuffix(base, ".cdx.json") || strings.HasSuffix(base, "bom.json"):
		s.document(f.Text, at)
	}
}

// paragraphs reads the status files of dpkg and opkg.
func (s *Set) paragraphs(text []byte, at, ecosystem string) {
	offset := 0
	for _, p := range bytes.SplitAfter(text, []byte("\n\n")) {
		fields := map[string]string{}
		for line := range strings.SplitSeq(string(p), "\n") {
			if key, value, ok := strings.Cut(line, ":"); ok && key != "" && key[0] != ' ' {
				fields[strings.ToLower(key)] = strings.TrimSpace(value)
			}
		}
		installed := fields["status"] == "" || strings.Contains(fields["status"], "installed") && !strings.Contains(fields["status"], "not-installed")
		if fields["package"] != "" && installed {
			s.Add(Component{Name: fields["package"], Version: fields["version"], Type: "library", Ecosystem: ecosystem, Licence: fields["license"]}, Place{at, int64(offset), "package-database"})
			// A binary package's source is what vulnerabilities are filed under.
			if source, version, _ := strings.Cut(fields["source"], " "); source != "" && source != fields["package"] && ecosystem == "Debian" {
				version = strings.Trim(version, "() ")
				if version == "" {
					version = fields["version"]
				}
				s.Add(Component{Name: source, Version: version, Type: "library", Ecosystem: ecosystem}, Place{at, int64(offset), "package-database"})
			}
		}
		offset += len(p)
	}
}

// apk reads Alpine's database: a letter, a colon, a value.
func (s *Set) apk(text []byte, at string) {
	offset := 0
	for _, p := range bytes.SplitAfter(text, []byte("\n\n")) {
		fields := map[string]string{}
		for line := range strings.SplitSeq(string(p), "\n") {
			if len(line) > 2 && line[1] == ':' && fields[line[:1]] == "" {
				fields[line[:1]] = strings.TrimSpace(line[2:])
			}
		}
		if fields["P"] != "" {
			s.Add(Component{Name: fields["P"], Version: fields["V"], Type: "library", Ecosystem: "Alpine", Licence: fields["L"]}, Place{at, int64(offset), "package-database"})
			if o := fields["o"]; o != "" && o != fields["P"] {
				s.Add(Component{Name: o, Version: fields["V"], Type: "library", Ecosystem: "Alpine"}, Place{at, int64(offset), "package-database"})
			}
		}
		offset += len(p)
	}
}

func (s *Set) osRelease(text []byte, at string) {
	fields := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			fields[strings.TrimPrefix(key, "DISTRIB_")] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	first := func(keys ...string) string {
		for _, k := range keys {
			if fields[k] != "" {
				return fields[k]
			}
		}
		return ""
	}
	s.Add(Component{Name: first("ID", "NAME"), Version: first("VERSION_ID", "VERSION", "RELEASE", "BUILD_ID"), Type: "operating-system"}, Place{at, 0, "os-release"})
}

var manifestLine = regexp.MustCompile(`^([a-z0-9][a-z0-9.+_-]{0,100})[ \t]+([a-z0-9_-]{1,40})[ \t]+([0-9A-Za-z][0-9A-Za-z.+~:_-]{0,100})\r?$`)

// manifest reads the package list of a Yocto image: name, architecture, version.
func (s *Set) manifest(text []byte, at string) {
	offset := 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if m := manifestLine.FindSubmatch(line); m != nil {
			s.Add(Component{Name: string(m[1]), Version: string(m[3]), Type: "library", Ecosystem: "Yocto"}, Place{at, int64(offset), "manifest"})
		}
		offset += len(line) + 1
	}
}

// document reads the packages of an SPDX 2 or a CycloneDX document in JSON.
func (s *Set) document(text []byte, at string) {
	var d struct {
		Packages []struct {
			Name    string `json:"name"`
			Version string `json:"versionInfo"`
			Refs    []struct {
				Type    string `json:"referenceType"`
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
		Components []struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			PURL    string `json:"purl"`
		} `json:"components"`
	}
	if json.Unmarshal(text, &d) != nil {
		return
	}
	for _, p := range d.Packages {
		c := Component{Name: p.Name, Version: p.Version, Type: "library"}
		for _, r := range p.Refs {
			if r.Type == "purl" {
				c.PURL = clip(r.Locator)
			}
		}
		s.Add(c, Place{at, 0, "manifest"})
	}
	for _, c := range d.Components {
		s.Add(Component{Name: c.Name, Version: c.Version, PURL: clip(c.PURL), Type: "library"}, Place{at, 0, "manifest"})
	}
}

// Go reads what the Go tool chain wrote into a program.
func (s *Set) Go(f found.File, at string) {
	info, err := buildinfo.Read(bufferedAt{f})
	if err != nil {
		return
	}
	place := Place{at, 0, "go-build-info"}
	s.Add(Component{Name: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go"), Type: "library", Ecosystem: "Go"}, place)
	if info.Main.Path != "" {
		s.Add(Component{Name: info.Main.Path, Version: info.Main.Version, Type: "application", Ecosystem: "Go", Digest: info.Main.Sum}, place)
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		s.Add(Component{Name: m.Path, Version: m.Version, Type: "library", Ecosystem: "Go", Digest: m.Sum}, place)
	}
}

// bufferedAt hides the length of a file from nobody, but fits the reader's interface.
type bufferedAt struct{ f found.File }

func (b bufferedAt) ReadAt(p []byte, at int64) (int, error) {
	return b.f.Section(0, b.f.Size()).ReadAt(p, at)
}
