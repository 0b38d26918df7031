package tuf

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"assay/firmware/format"
	"assay/firmware/strictjson"
)

// A document is one metadata file as it says itself: enough to tell it, and to find the next
// one. Signatures are checked over the same bytes by go-tuf.
type document struct {
	Signatures []struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	} `json:"signatures"`
	Signed signed `json:"signed"`

	raw  []byte
	path string
}

type signed struct {
	Type        string               `json:"_type"`
	Spec        string               `json:"spec_version"`
	Version     int64                `json:"version"`
	Expires     time.Time            `json:"expires"`
	Consistent  bool                 `json:"consistent_snapshot"`
	Keys        map[string]*key      `json:"keys"`
	Roles       map[string]*role     `json:"roles"`
	Meta        map[string]*metaFile `json:"meta"`
	Targets     map[string]*target   `json:"targets"`
	Delegations *delegations         `json:"delegations"`
}

type delegations struct {
	Keys     map[string]*key `json:"keys"`
	Roles    []*role         `json:"roles"`
	Succinct json.RawMessage `json:"succinct_roles"`
}

type key struct {
	Type   string `json:"keytype"`
	Scheme string `json:"scheme"`
	Value  *struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

type role struct {
	Name        string   `json:"name"`
	KeyIDs      []string `json:"keyids"`
	Threshold   int      `json:"threshold"`
	Paths       []string `json:"paths"`
	Prefixes    []string `json:"path_hash_prefixes"`
	Terminating bool     `json:"terminating"`
}

type metaFile struct {
	Version int64             `json:"version"`
	Length  int64             `json:"length"`
	Hashes  map[string]string `json:"hashes"`
}

// A target is a file that some role vouches for.
type target struct {
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom custom            `json:"custom"`

	role string // who vouches for it
}

// custom is what one deployment (a POUF, in Uptane's words) puts there; TUF itself leaves it open.
type custom struct {
	HardwareID string         `json:"hardwareId"`
	Counter    *uint64        `json:"releaseCounter"`
	ECUs       map[string]ecu `json:"ecuIdentifiers"`
}

type ecu struct {
	HardwareID string `json:"hardwareId"`
}

// fieldNames are those that encoding/json would also take in other letters.
var fieldNames = strings.Fields(`signatures signed _type spec_version version expires consistent_snapshot
	keys roles meta targets delegations`)

var digestSizes = map[string]int{"sha256": 32, "sha512": 64}

// parse reads one metadata file of a kind, strictly.
func parse(b []byte, kind string) (*document, error) {
	err := strictjson.Check(b, maxDepth, "targets", "meta", "keys", "custom", "ecuIdentifiers")
	if errors.Is(err, strictjson.ErrTrailing) {
		return nil, wrap(format.ErrTrailing, "%v", err)
	}
	if err != nil {
		return nil, malformed("%v", err)
	}
	var top, inner map[string]json.RawMessage
	if err := json.Unmarshal(b, &top); err != nil {
		return nil, malformed("%v", err)
	}
	if err := json.Unmarshal(top["signed"], &inner); err != nil {
		return nil, malformed("signed: %v", err)
	}
	for _, names := range []map[string]json.RawMessage{top, inner} {
		for name := range names {
			if i := slices.IndexFunc(fieldNames, func(f string) bool { return strings.EqualFold(f, name) }); i >= 0 && fieldNames[i] != name {
				return nil, malformed("a field %.40q, which is written %q", name, fieldNames[i])
			}
		}
	}
	d := &document{raw: b}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, malformed("%v", err)
	}
	return d, d.check(kind)
}

func (d *document) check(kind string) error {
	s := &d.Signed
	switch {
	case s.Type != kind:
		return malformed("metadata of type %.40q, want %s", s.Type, kind)
	case !strings.HasPrefix(s.Spec, "1."):
		return malformed("metadata by version %.40q of the specification, want 1.x", s.Spec)
	case s.Version < 1:
		return malformed("version %d", s.Version)
	case s.Expires.IsZero():
		return malformed("no date of expiry")
	}
	seen := map[string]bool{}
	for _, sig := range d.Signatures {
		if seen[sig.KeyID] { // CVE-2020-6174: counted twice
			return malformed("two signatures by key %.16q", sig.KeyID)
		}
		seen[sig.KeyID] = true
	}
	switch kind {
	case roleRoot:
		return s.checkRoot()
	case roleTimestamp:
		return checkMeta(s.Meta, "snapshot.json")
	case roleSnapshot:
		return checkMeta(s.Meta, "targets.json")
	}
	return s.checkTargets()
}

func checkKeys(keys map[string]*key) error {
	for id, k := range keys {
		if k == nil || k.Value == nil {
			return malformed("key %.16q is empty", id)
		}
	}
	return nil
}

// checkRole refuses a threshold below one, under which nothing needs a signature (CVE-2026-23992).
func checkRole(name string, r *role, keys map[string]*key) error {
	if r == nil || r.Threshold < 1 || r.Threshold > len(r.KeyIDs) {
		return malformed("the threshold of role %.60q is not between 1 and the number of its keys", name)
	}
	for i, id := range r.KeyIDs {
		if slices.Contains(r.KeyIDs[:i], id) {
			return malformed("role %.60q names key %.16q twice", name, id)
		}
		if keys[id] == nil {
			return malformed("role %.60q names key %.16q, which is not there", name, id)
		}
	}
	return nil
}

func (s *signed) checkRoot() error {
	if err := checkKeys(s.Keys); err != nil {
		return err
	}
	for _, name := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		if err := checkRole(name, s.Roles[name], s.Keys); err != nil {
			return err
		}
	}
	return nil
}

func checkMeta(meta map[string]*metaFile, want string) error {
	if meta[want] == nil {
		return malformed("nothing about %s", want)
	}
	for name, m := range meta {
		if m == nil || m.Version < 1 || m.Length < 0 {
			return malformed("no version of %.80q", name)
		}
		if !strings.HasSuffix(name, ".json") || strings.ContainsAny(name, `/\`) || !fs.ValidPath(name) {
			return malformed("metadata called %.80q", name)
		}
	}
	return nil
}

func (s *signed) checkTargets() error {
	for name, t := range s.Targets {
		// A path that leaves the folder is one for another place of the device.
		if !fs.ValidPath(name) || name == "." || strings.Contains(name, `\`) {
			return malformed("target %.80q is no path inside the repository", name)
		}
		if t == nil || t.Length < 0 {
			return malformed("target %.80q has no length", name)
		}
		if err := t.checkHashes(name); err != nil {
			return err
		}
	}
	if s.Delegations == nil {
		return nil
	}
	if len(s.Delegations.Succinct) > 0 {
		return malformed("succinct delegations (TAP 15) are not read")
	}
	if err := checkKeys(s.Delegations.Keys); err != nil {
		return err
	}
	for i, r := range s.Delegations.Roles {
		if err := s.checkDelegation(r, s.Delegations.Roles[:i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *signed) checkDelegation(r *role, before []*role) error {
	if r == nil || r.Name == "" || strings.ContainsAny(r.Name, `/\`) {
		return malformed("a delegation to a role without a usable name")
	}
	if slices.Contains([]string{roleRoot, roleTimestamp, roleSnapshot, roleTargets}, r.Name) {
		return malformed("a delegation to %s, which is another role's name", r.Name)
	}
	if slices.ContainsFunc(before, func(o *role) bool { return o.Name == r.Name }) {
		return malformed("two delegations to %.60q", r.Name)
	}
	if (len(r.Paths) > 0) == (len(r.Prefixes) > 0) {
		return malformed("role %.60q has paths and hash prefixes, or neither", r.Name)
	}
	return checkRole(r.Name, r, s.Delegations.Keys)
}

// checkHashes asks for one digest that counts at least: go-tuf takes a target without any.
func (t *target) checkHashes(name string) error {
	counted := 0
	for algorithm, text := range t.Hashes {
		size, known := digestSizes[algorithm]
		if !known {
			continue
		}
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != size {
			return malformed("target %.80q has a malformed %s", name, algorithm)
		}
		counted++
	}
	if counted == 0 {
		return malformed("target %.80q has neither a sha256 nor a sha512", name)
	}
	return nil
}
