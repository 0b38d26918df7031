package tuf

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"assay/firmware/format"
)

// listed are the paths of all targets that some role of the folder lists, verified or not.
func (r *repo) listed() []string {
	names := map[string]bool{}
	for _, d := range append(slices.Collect(maps.Values(r.roles)), r.targets) {
		for name := range d.Signed.Targets {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// delegation is what a role says of one below it.
func (c *client) delegation(delegator, name string) *role {
	d := c.targets
	if delegator != roleTargets {
		d = c.roles[delegator]
	}
	if d == nil || d.Signed.Delegations == nil {
		return nil
	}
	for _, r := range d.Signed.Delegations.Roles {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// resolve asks the roles about a target in the order of TUF section 5.6.7: depth first, a
// terminating delegation ends the search. A role counts only for the one that delegated to it
// here (CVE-2024-47534), each loaded and verified for that. nil: nobody vouches for it.
func (c *client) resolve(name string) (*target, error) {
	type visit struct{ role, delegator string }
	stack := []visit{{roleTargets, metadata.ROOT}}
	visited := map[string]bool{}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if visited[v.role] {
			continue
		}
		if len(visited) > maxDelegations {
			return nil, malformed("more than %d roles to ask about target %.80q", maxDelegations, name)
		}
		visited[v.role] = true
		d, err := c.load(v.role, v.delegator)
		if err != nil {
			return nil, err
		}
		if t := d.Signed.Targets[name]; t != nil {
			found := *t
			found.role = v.role
			return &found, nil
		}
		if d.Signed.Delegations == nil {
			continue
		}
		var below []visit
		for _, r := range d.Signed.Delegations.Roles {
			if !r.covers(name) {
				continue
			}
			below = append(below, visit{r.Name, v.role})
			if r.Terminating {
				stack = nil
				break
			}
		}
		slices.Reverse(below)
		stack = append(stack, below...)
	}
	return nil, nil
}

// covers tells whether a delegation is about a path: by shell patterns, of which * does not
// cross a slash, or by the first hexadecimal digits of its SHA-256. (go-tuf v2.4.2 compares
// those with base64.)
func (r *role) covers(name string) bool {
	for _, pattern := range r.Paths {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	sum := sha256.Sum256([]byte(name))
	text := hex.EncodeToString(sum[:])
	return slices.ContainsFunc(r.Prefixes, func(p string) bool { return p != "" && strings.HasPrefix(text, p) })
}

// files are the names under which a target may lie: with its digest before its name where
// snapshots are consistent, else as it is.
func (c *client) files(name string, t target) []string {
	plain := path.Join(c.base, "targets", name)
	if !c.trusted.Root.Signed.ConsistentSnapshot {
		return []string{plain}
	}
	folder, last := path.Split(plain)
	var all []string
	for _, algorithm := range slices.Sorted(maps.Keys(t.Hashes)) {
		if file := path.Join(folder, t.Hashes[algorithm]+"."+last); fs.ValidPath(file) {
			all = append(all, file)
		}
	}
	return append(all, plain)
}

// here tells whether the folder has a file of that name by any role's word. A client is not asked
// about one that it has not, and so the roles that speak only of such need not be good.
func (c *client) here(name string) bool {
	for _, d := range append(slices.Collect(maps.Values(c.roles)), c.targets) {
		t := d.Signed.Targets[name]
		if t == nil {
			continue
		}
		for _, file := range c.files(name, *t) {
			if _, err := fs.Stat(c.img.dir, file); !errors.Is(err, fs.ErrNotExist) {
				return true
			}
		}
	}
	return false
}

// checkFile compares a target file with what the role says of it, where it is in the folder.
func (c *client) checkFile(name string, t target, report *format.Report, found map[string]target) error {
	for _, file := range c.files(name, t) {
		f, err := c.img.dir.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return wrap(format.ErrMalformed, "target %s: %v", file, err)
		}
		digest, err := t.compare(f, file)
		f.Close()
		if err != nil {
			return err
		}
		found[name] = t
		if report.Digest == "" {
			report.Digest = digest
		}
		report.Chain = append(report.Chain, format.Link{Kind: "hash", Name: oneLine(file), Algorithm: "sha256", From: "role " + oneLine(t.role)})
		return nil
	}
	report.Image.Notes = append(report.Image.Notes, oneLine(fmt.Sprintf("target %q is not in the folder", name)))
	return nil
}

// compare reads no byte more than the role allows and one, which tells that there are more.
func (t target) compare(f io.Reader, name string) (string, error) {
	states := map[string]hash.Hash{"sha256": sha256.New()}
	writers := []io.Writer{states["sha256"]}
	if _, ok := t.Hashes["sha512"]; ok {
		states["sha512"] = sha512.New()
		writers = append(writers, states["sha512"])
	}
	buffer := make([]byte, max(1, min(256<<10, t.Length)))
	n, err := io.CopyBuffer(io.MultiWriter(writers...), onlyReader{io.LimitReader(f, t.Length)}, buffer)
	if err != nil {
		return "", wrap(format.ErrMalformed, "read target %s: %v", name, err)
	}
	if n < t.Length {
		return "", wrap(format.ErrBadHash, "%s ends after %d bytes, %d are signed", name, n, t.Length)
	}
	if more, _ := io.ReadFull(f, buffer[:1]); more > 0 {
		return "", wrap(format.ErrTrailing, "%s goes on behind its %d signed bytes", name, t.Length)
	}
	for algorithm, state := range states {
		want, ok := t.Hashes[algorithm]
		sum, err := hex.DecodeString(want)
		if ok && (err != nil || !bytes.Equal(sum, state.Sum(nil))) {
			return "", wrap(format.ErrBadHash, "%s hashes to %s %x, signed is %s", name, algorithm, state.Sum(nil), want)
		}
	}
	return "sha256:" + hex.EncodeToString(states["sha256"].Sum(nil)), nil
}

// onlyReader hides WriteTo, so that the buffer given is the one used.
type onlyReader struct{ io.Reader }
