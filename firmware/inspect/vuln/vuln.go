// Package vuln is for matching the components of an image against a folder of OSV entries and
// CSAF-VEX documents that the operator brought: dated, hashed, offline. It asks nobody, and
// where there is no folder it says that nothing was checked.
package vuln

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"assay/firmware/format"
)

// A Status is what is said of a component and a vulnerability.
type Status string

// The statuses, in the words of VEX.
const (
	Affected     Status = "affected"
	NotAffected  Status = "not_affected"
	Fixed        Status = "fixed"
	Investigated Status = "under_investigation"
)

// A Subject is a component as it is looked up.
type Subject struct {
	Name, Version, Ecosystem, PURL string
}

// revision is what distributions put behind the upstream version.
var revision = regexp.MustCompile(`^(.*?)-r?\d+(?:\.\d+)*$`)

func (c Subject) upstreamVersion() string {
	v := c.Version
	if _, rest, ok := strings.Cut(v, ":"); ok {
		v = rest
	}
	if c.Ecosystem == "opkg" || c.Ecosystem == "Yocto" || c.Ecosystem == "Alpine" || c.Ecosystem == "Debian" || c.Ecosystem == "rpm" {
		if m := revision.FindStringSubmatch(v); m != nil {
			return m[1]
		}
	}
	return v
}

// A Match is one vulnerability that the snapshot names for a component.
type Match struct {
	ID        string   `json:"id"`
	Aliases   []string `json:"aliases,omitempty"`
	Component string   `json:"component"`
	Version   string   `json:"version"`
	Status    Status   `json:"status"`
	Basis     string   `json:"basis"`            // which range or list named the version, and by whose numbering
	Reason    string   `json:"reason,omitempty"` // of a VEX statement, in its own words
	Files     []string `json:"files"`            // of the snapshot
}

// A Result is what a snapshot said.
type Result struct {
	Checked   bool    `json:"checked"`
	Statement string  `json:"statement"`
	Snapshot  string  `json:"snapshot,omitempty"` // as the operator named it
	Digest    string  `json:"digest,omitempty"`   // of all its files, in order of their names
	Dated     string  `json:"dated,omitempty"`    // the youngest entry, RFC 3339
	Entries   int     `json:"entries,omitempty"`
	Files     []File  `json:"files,omitempty"` // that a match rests on
	Matches   []Match `json:"matches,omitempty"`
}

// A File is one file of the snapshot.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// NotChecked is the result without a snapshot.
func NotChecked() Result {
	return Result{Statement: "NOT CHECKED: no snapshot of known vulnerabilities was given"}
}

// A Snapshot is a folder that was read.
type Snapshot struct {
	name       string
	digest     string
	dated      string
	files      []File
	entries    int
	byName     map[string][]*advisory
	statements []statement
}

// maxFile bounds one file of a snapshot; the operator chose it, but a lab's machine is small.
const maxFile = 256 << 20

// Load reads every JSON file of a folder. One that is neither OSV nor CSAF is an error: a
// snapshot of which half was skipped would look clean.
func Load(name string, folder fs.FS) (*Snapshot, error) {
	s := &Snapshot{name: name, byName: map[string][]*advisory{}}
	sum := sha256.New()
	err := fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > maxFile {
			return fmt.Errorf("read %q of the snapshot: more than %d bytes: %w", path, maxFile, cmp.Or(err, format.ErrMalformed))
		}
		b, err := fs.ReadFile(folder, path)
		if err != nil {
			return fmt.Errorf("read %q of the snapshot: %w", path, err)
		}
		digest := sha256.Sum256(b)
		s.files = append(s.files, File{path, hex.EncodeToString(digest[:])})
		fmt.Fprintf(sum, "%x  %s\n", digest, path)
		if err := s.add(b, len(s.files)-1); err != nil {
			return fmt.Errorf("read %q of the snapshot: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.entries == 0 {
		return nil, fmt.Errorf("snapshot %q holds no OSV entry and no CSAF document: %w", name, format.ErrMalformed)
	}
	s.digest = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

func (s *Snapshot) add(b []byte, file int) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(b, &list); err != nil {
			return fmt.Errorf("%w: %w", err, format.ErrMalformed)
		}
		for _, one := range list {
			if err := s.add(one, file); err != nil {
				return err
			}
		}
		return nil
	}
	var d document
	if err := json.Unmarshal(b, &d); err == nil && d.Document.Version != "" {
		s.entries++
		s.dated = max(s.dated, d.Document.Tracking.Current)
		s.statements = append(s.statements, d.statements(file)...)
		return nil
	}
	a := &advisory{file: file}
	if err := json.Unmarshal(b, a); err != nil {
		return fmt.Errorf("%w: %w", err, format.ErrMalformed)
	}
	if a.ID == "" || a.Modified == "" {
		return fmt.Errorf("neither an OSV entry nor a CSAF document: %w", format.ErrMalformed)
	}
	s.entries++
	s.dated = max(s.dated, a.Modified)
	if a.Withdrawn != "" {
		return nil
	}
	var names []string
	for _, x := range a.Affected {
		base, _ := purlBase(x.Package.PURL)
		for _, name := range []string{strings.ToLower(x.Package.Name), base} {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
				s.byName[name] = append(s.byName[name], a)
			}
		}
	}
	return nil
}

// Match looks every component up. release narrows a distribution to its release as OSV
// writes it ("Debian" -> "12"); without it every release counts, and the basis says so.
func (s *Snapshot) Match(components []Subject, release map[string]string) Result {
	r := Result{Checked: true, Snapshot: s.name, Digest: s.digest, Dated: s.dated, Entries: s.entries}
	used := map[int]bool{}
	for _, c := range components {
		if c.Version == "" {
			continue
		}
		matches := s.osv(c, release, used)
		r.Matches = append(r.Matches, s.vex(c, matches, used)...)
	}
	slices.SortFunc(r.Matches, func(a, b Match) int {
		return cmp.Or(strings.Compare(a.Component, b.Component), strings.Compare(a.Version, b.Version), strings.Compare(a.ID, b.ID))
	})
	for i, f := range s.files {
		if used[i] {
			r.Files = append(r.Files, f)
		}
	}
	affected := 0
	for _, m := range r.Matches {
		if m.Status == Affected {
			affected++
		}
	}
	r.Statement = fmt.Sprintf("%d components against %d entries of %s: %d matches, %d of them affected; what the snapshot does not list is not checked",
		len(components), s.entries, s.name, len(r.Matches), affected)
	return r
}

// ecosystems tells whether an entry's ecosystem is a component's, and which version counts there.
func ecosystems(entry string, c Subject, release map[string]string) (version, basis string, ok bool) {
	family, which, _ := strings.Cut(entry, ":")
	switch {
	case upstream(family) && (c.Ecosystem == "" || c.Ecosystem == "opkg" || c.Ecosystem == "Yocto"):
		return c.upstreamVersion(), "upstream version", true
	case family == c.Ecosystem || c.Ecosystem == "rpm" && slices.Contains([]string{"Red Hat", "Rocky Linux", "AlmaLinux", "SUSE", "openSUSE"}, family):
		own := release[family]
		if which == "" {
			return c.Version, family, true
		}
		if own == "" {
			return c.Version, entry + ", the image's own release is not known", true
		}
		return c.Version, entry, strings.TrimPrefix(which, "v") == strings.TrimPrefix(own, "v")
	}
	return "", "", false
}

func (s *Snapshot) osv(c Subject, release map[string]string, used map[int]bool) []Match {
	var out []Match
	seen := map[string]bool{}
	base, _ := purlBase(c.PURL)
	for _, name := range []string{strings.ToLower(c.Name), base} {
		for _, a := range s.byName[name] {
			if seen[a.ID] {
				continue
			}
			for _, x := range a.Affected {
				own, _ := purlBase(x.Package.PURL)
				if !strings.EqualFold(x.Package.Name, c.Name) && (own == "" || own != base) {
					continue
				}
				version, basis, ok := ecosystems(x.Package.Ecosystem, c, release)
				if !ok {
					continue
				}
				hit, words := x.hits(version)
				if !hit {
					continue
				}
				seen[a.ID], used[a.file] = true, true
				out = append(out, Match{ID: a.ID, Aliases: append(slices.Clone(a.Aliases), a.Upstream...), Component: c.Name, Version: c.Version, Status: Affected,
					Basis: basis + ": " + words, Files: []string{s.files[a.file].Name}})
				break
			}
		}
	}
	return out
}

// vex lets the statements of CSAF documents speak: about what OSV named, and on their own. A
// statement outweighs a range of versions; where documents disagree, the component counts as affected.
func (s *Snapshot) vex(c Subject, matches []Match, used map[int]bool) []Match {
	said := map[int]bool{} // matches on which a document has spoken
	for _, st := range s.statements {
		if !st.fits(c) {
			continue
		}
		file := s.files[st.file].Name
		used[st.file] = true
		at := slices.IndexFunc(matches, func(m Match) bool {
			return slices.ContainsFunc(st.ids, func(id string) bool { return m.ID == id || slices.Contains(m.Aliases, id) })
		})
		if at < 0 {
			matches = append(matches, Match{ID: st.ids[0], Aliases: st.ids[1:], Component: c.Name, Version: c.Version, Status: st.status, Basis: "CSAF statement", Reason: st.reason, Files: []string{file}})
			said[len(matches)-1] = true
			continue
		}
		m := &matches[at]
		if !slices.Contains(m.Files, file) {
			m.Files = append(m.Files, file)
		}
		if said[at] && m.Status != st.status {
			m.Status, m.Reason = Affected, "the documents disagree: counted as affected"
			continue
		}
		m.Status, m.Reason, said[at] = st.status, st.reason, true
	}
	return matches
}
