package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"assay/firmware/format"
	"assay/firmware/inspect/accounts"
	"assay/firmware/inspect/sbom"
	"assay/firmware/inspect/scan"
	"assay/firmware/inspect/secrets"
	"assay/firmware/inspect/tree"
	"assay/firmware/inspect/vuln"
)

// errStop ends the whole walk: a limit on all of it was reached.
var errStop = fmt.Errorf("inspection ended early: %w", tree.ErrLimit)

// walk is one inspection under way.
type walk struct {
	ctx      context.Context
	o        Options
	limits   Limits
	inv      *Inventory
	kinds    []kind
	table    *scan.Table
	needles  []target // by needle
	secrets  *secrets.Searcher
	accounts *accounts.Judge
	set      sbom.Set
	snapshot *vuln.Snapshot
	buf      []byte
}

// target is what a needle of the table belongs to.
type target struct {
	carve, secret, mark int // index in the list of its kind, -1 for none
}

func newWalk(ctx context.Context, o Options) (*walk, error) {
	w := &walk{ctx: ctx, o: o, limits: o.Limits.withDefaults(), kinds: kinds(), secrets: secrets.New(o.At), buf: make([]byte, 64<<10)}
	name := o.Name
	if name == "" {
		name = "image"
	}
	clean, _ := tree.Clean(name)
	w.inv = &Inventory{Image: strings.TrimPrefix(clean, "/"), Limits: w.limits, Vulnerabilities: vuln.NotChecked(),
		Containers: []Container{}, NotInspected: []Gap{}, LimitsHit: []Gap{}, Findings: []Finding{}, Programs: []Hardening{}, Notes: []string{}}
	var err error
	if w.accounts, err = accounts.New(o.Passwords); err != nil {
		return nil, err
	}
	if o.Snapshot != nil {
		if w.snapshot, err = vuln.Load(o.SnapshotName, o.Snapshot); err != nil {
			return nil, err
		}
	}
	var all []scan.Needle
	add := func(t target, list ...scan.Needle) {
		for _, n := range list {
			all, w.needles = append(all, n), append(w.needles, t)
		}
	}
	for i, k := range w.kinds {
		add(target{i, -1, -1}, k.needles...)
	}
	for i, n := range w.secrets.Needles() {
		add(target{-1, i, -1}, n)
	}
	for i, n := range sbom.Needles() {
		add(target{-1, -1, i}, n)
	}
	w.table, err = scan.New(all)
	return w, err
}

// A node is one file, segment or the image itself.
type node struct {
	path    string // the chain
	name    string // path in its file system; empty for a segment
	src     format.Source
	mode    fs.FileMode
	noMode  bool
	uid     uint32
	depth   int
	segment bool // unknown bytes in it are told
}

func (w *walk) gap(path string, offset, size int64, reason string, args ...any) {
	w.inv.NotInspected = append(w.inv.NotInspected, Gap{path, offset, size, fmt.Sprintf(reason, args...)})
}

func (w *walk) limit(path string, offset, size int64, reason string, args ...any) {
	w.inv.LimitsHit = append(w.inv.LimitsHit, Gap{path, offset, size, fmt.Sprintf(reason, args...)})
}

func (w *walk) report(path string, list ...Finding) {
	for _, f := range list {
		f.Path = path
		w.inv.Findings = append(w.inv.Findings, f)
	}
}

// node looks into one file: the container that it is, then whatever is not of that container.
func (w *walk) node(n node) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	head := n.src.Head(headSize)
	for i := range w.kinds {
		k := &w.kinds[i]
		if !k.is(head) {
			continue
		}
		used, taken, err := w.unpack(n, k, 0)
		if err != nil {
			return err
		}
		if !taken {
			continue
		}
		if k.read == nil {
			return w.bytes(n, 0, false) // what can be found in it without taking it apart
		}
		return w.bytes(n, used, true)
	}
	if err := w.file(n, head); err != nil {
		return err
	}
	return w.bytes(n, 0, true)
}

// unpack reads the container of kind k at an offset of a node. It was taken if it was one.
func (w *walk) unpack(n node, k *kind, at int64) (used int64, taken bool, err error) {
	rest := n.src.Size() - at
	c := Container{Path: n.path, Kind: k.name, Offset: at, State: Inspected}
	if k.read == nil {
		c.State, c.Reason, c.Size = NotInspected, k.why, rest
		w.inv.Containers = append(w.inv.Containers, c)
		w.gap(n.path, at, rest, "%s: %s", k.name, k.why)
		return rest, true, nil
	}
	if n.depth >= w.limits.Depth {
		c.State, c.Reason, c.Size = NotInspected, "limit of depth", rest
		w.inv.Containers = append(w.inv.Containers, c)
		w.limit(n.path, at, rest, "%s: containers inside each other deeper than %d", k.name, w.limits.Depth)
		return rest, true, nil
	}
	src := format.NewSource(n.src.Section(at, rest), rest)
	v := &visitor{w: w, n: n, k: k, packed: rest, prefix: n.path}
	if at > 0 {
		v.prefix = fmt.Sprintf("%s!%s@0x%x", n.path, k.name, at)
	}
	place := len(w.inv.Containers) // before those inside it
	w.inv.Containers = append(w.inv.Containers, c)
	used, err = k.read(src, v.visit)
	if v.fatal != nil {
		w.inv.Containers[place].Entries, w.inv.Containers[place].Size = v.entries, max(used, 0)
		w.inv.Containers[place].State, w.inv.Containers[place].Reason = Partly, v.fatal.Error()
		return used, true, v.fatal
	}
	broken := at == 0 && err != nil // a file that begins like a stream and cannot be read is told, not taken for plain bytes
	if v.entries == 0 && (at > 0 && err != nil || k.empty && err == nil) || k.stream && v.barren && !broken {
		if at > 0 || k.empty || k.stream {
			w.inv.Containers = w.inv.Containers[:place] // not one after all
			return 0, false, nil
		}
	}
	got := &w.inv.Containers[place]
	got.Entries, got.Size = v.entries, used
	if v.bare {
		w.inv.Notes = append(w.inv.Notes, fmt.Sprintf("%s in %s records no permissions: set-uid programs and write rights cannot be told.", k.name, v.prefix))
	}
	if err != nil {
		got.State, got.Reason = Partly, err.Error()
		if v.entries == 0 {
			got.State = NotInspected
		}
		if used <= 0 || used > rest {
			used = rest
		}
		got.Size = used
		if errors.Is(err, tree.ErrLimit) {
			w.limit(n.path, at, used, "%s: %v", k.name, err)
		}
		w.gap(n.path, at, used, "%s: %v", k.name, err)
		if v.entries == 0 {
			return 0, true, nil // its bytes are searched as if it were none
		}
	}
	return used, true, nil
}
