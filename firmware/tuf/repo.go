package tuf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// A repo is what a folder says of one repository, unverified.
type repo struct {
	name     string // director, image; empty for a plain one
	base     string // its folder
	metadata string // the folder of its metadata
	roots    map[int64]*document
	badRoots map[int64]error // those that cannot be read: a reason to refuse where one is asked for
	time     *document
	snapshot *document
	targets  *document
	roles    map[string]*document // delegated ones that the snapshot lists and that are here
	badRoles map[string]error     // those of them that cannot be read
}

// read follows the metadata from the timestamp down, as a client would ask for it.
func (r *repo) read(dir fs.FS) (err error) {
	if r.time, err = r.document(dir, "timestamp.json", roleTimestamp, maxTimestamp); err != nil {
		return err
	}
	if err := r.readRoots(dir); err != nil {
		return err
	}
	if r.snapshot, err = r.versioned(dir, roleSnapshot, roleSnapshot, r.time.Signed.Meta["snapshot.json"], maxSnapshot); err != nil {
		return err
	}
	if r.targets, err = r.versioned(dir, roleTargets, roleTargets, r.snapshot.Signed.Meta["targets.json"], maxTargets); err != nil {
		return err
	}
	r.roles, r.badRoles = map[string]*document{}, map[string]error{}
	for file, meta := range r.snapshot.Signed.Meta {
		name := strings.TrimSuffix(file, ".json")
		// Snapshots of early repositories list the root as well; no client takes it from there.
		if slices.Contains([]string{roleRoot, roleTimestamp, roleSnapshot, roleTargets}, name) {
			continue
		}
		d, err := r.versioned(dir, name, roleTargets, meta, maxTargets)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a client that asks for it says so
		}
		if err != nil {
			r.badRoles[name] = err
			continue
		}
		r.roles[name] = d
	}
	return nil
}

// readRoots keeps those that cannot be read apart: a client never asks for one before its own,
// and the first roots of old repositories are not written as the specification has it today.
func (r *repo) readRoots(dir fs.FS) error {
	r.roots, r.badRoots = map[int64]*document{}, map[int64]error{}
	names, err := fs.Glob(dir, path.Join(r.metadata, "*.root.json"))
	if err != nil || len(names) > maxRotations {
		return malformed("%d roots, at most %d are read: %v", len(names), maxRotations, err)
	}
	for _, name := range names {
		n, err := strconv.ParseInt(strings.TrimSuffix(path.Base(name), ".root.json"), 10, 64)
		if err != nil {
			continue // nobody asks for it
		}
		d, err := r.document(dir, path.Base(name), roleRoot, maxRoot)
		if err != nil {
			r.badRoots[n] = err
			continue
		}
		r.roots[n] = d
	}
	return nil
}

// versioned reads N.role.json, or role.json where the repository has no consistent snapshots.
func (r *repo) versioned(dir fs.FS, role, kind string, meta *metaFile, limit int64) (*document, error) {
	name := fmt.Sprintf("%d.%s.json", meta.Version, role)
	if _, err := fs.Stat(dir, path.Join(r.metadata, name)); errors.Is(err, fs.ErrNotExist) {
		name = role + ".json"
	}
	return r.document(dir, name, kind, limit)
}

func (r *repo) document(dir fs.FS, name, kind string, limit int64) (*document, error) {
	b, err := readFile(dir, path.Join(r.metadata, name), limit)
	if err != nil {
		return nil, err
	}
	d, err := parse(b, kind)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.path = path.Join(r.metadata, name)
	return d, nil
}

// readFile reads at most limit bytes, whatever the folder says of the file's size.
func readFile(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil { // both: the sentinel for the caller, the file system's own for read
		return nil, fmt.Errorf("%s: %w: %w", oneLine(name), err, format.ErrMalformed)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", oneLine(name), err, format.ErrMalformed)
	}
	if int64(len(b)) > limit {
		return nil, malformed("%s goes on behind %d bytes", name, limit)
	}
	return b, nil
}
