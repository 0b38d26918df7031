package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"assay/firmware/format"
	"assay/firmware/inspect/accounts"
	"assay/firmware/inspect/found"
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
	if v.entries == 0 && (at > 0 && err != nil || k.empty && err == nil) || k.stream && v.barren {
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

// visitor receives the entries of one container.
type visitor struct {
	w       *walk
	n       node
	k       *kind
	prefix  string
	packed  int64 // bytes that the container may be of
	out     int64 // bytes that came out
	entries int
	links   map[string]bool // symbolic links of this container
	bare    bool            // it records no permissions
	barren  bool            // a stream gave nothing worth a name
	fatal   error
}

func (v *visitor) visit(e tree.Entry) error {
	w := v.w
	if err := w.ctx.Err(); err != nil {
		v.fatal = err
		return err
	}
	v.entries++
	c := &w.inv.Counts
	if c.Files+c.Folders+c.Links+c.Devices >= w.limits.Files {
		w.limit(v.n.path, 0, 0, "%s: more than %d entries", v.k.name, w.limits.Files)
		v.fatal = errStop
		return errStop
	}
	if len(e.Name) > tree.MaxName {
		return tree.Broken("name of %d bytes", len(e.Name))
	}
	child := node{mode: e.Mode, noMode: e.NoMode, uid: e.UID, depth: v.n.depth + 1, segment: e.Segment}
	if e.Segment {
		child.path = v.prefix + "!" + strings.TrimPrefix(cleanName(e.Name), "/")
		if v.k.stream && v.prefix != v.n.path {
			child.path = v.prefix // gzip@0x40 is name enough
		}
	} else {
		name, escapes := tree.Clean(e.Name)
		child.name, child.path = name, v.prefix+"!"+name
		v.bare = v.bare || e.NoMode
		v.escape(e, child, escapes)
	}
	switch {
	case e.Mode.IsDir():
		c.Folders++
		w.rights(e, child)
		return nil
	case e.Mode&fs.ModeSymlink != 0:
		c.Links++
		return nil
	case !e.Mode.IsRegular():
		c.Devices++
		if e.Mode&fs.ModeDevice != 0 && !strings.HasPrefix(child.name, "/dev/") {
			w.report(child.path, Finding{Kind: found.DeviceNode, Statement: "a device node outside /dev"})
		}
		return nil
	}
	c.Files++
	w.rights(e, child)
	return v.file(e, child)
}

func cleanName(s string) string {
	c, _ := tree.Clean(s)
	return c
}

// escape tells names and links that would leave the folder into which they are unpacked.
func (v *visitor) escape(e tree.Entry, child node, escapes bool) {
	tell := func(statement string) {
		v.w.report(child.path, Finding{Kind: found.PathEscape, Statement: statement, Digest: found.Digest([]byte(e.Name + "\x00" + e.Target))})
	}
	if escapes {
		tell("a name that leaves the folder it is unpacked into")
	}
	for dir := path.Dir(child.name); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if v.links[dir] {
			tell("a name that goes through a link of the same container")
			break
		}
	}
	if e.Target == "" {
		return
	}
	if !strings.HasPrefix(e.Target, "/") {
		if _, out := tree.Clean(path.Dir(strings.TrimPrefix(child.name, "/")) + "/" + e.Target); out {
			tell("a link that leaves the folder it is unpacked into")
		}
	}
	if e.Mode&fs.ModeSymlink != 0 {
		if v.links == nil {
			v.links = map[string]bool{}
		}
		v.links[child.name] = true
	}
}

// file looks into a regular file of the container.
func (v *visitor) file(e tree.Entry, child node) error {
	w := v.w
	src, done, err := v.content(e, child)
	if done != nil {
		defer done()
	}
	if errors.Is(err, errStop) || w.ctx.Err() != nil {
		v.fatal = err
		return err
	}
	if v.k.stream && err != nil && src.Size() < 512 {
		v.barren = true // random bytes that look like a head unpack to a few bytes
		return err
	}
	child.src = src
	w.inv.Counts.Bytes += src.Size()
	if err != nil {
		w.gap(child.path, src.Size(), max(0, e.Size-src.Size()), "%v", err)
		if errors.Is(err, tree.ErrLimit) {
			w.limit(child.path, src.Size(), max(0, e.Size-src.Size()), "%v", err)
		}
	}
	if inner := w.node(child); inner != nil {
		v.fatal = inner
		return inner
	}
	if v.k.stream {
		return err // the stream is broken as a whole
	}
	if errors.Is(err, errRatio) {
		return err
	}
	return nil
}

// content makes a file readable at any place.
func (v *visitor) content(e tree.Entry, child node) (format.Source, func(), error) {
	w := v.w
	left := w.limits.Total - w.inv.Counts.Bytes
	if e.Place != nil {
		if e.Place.Size() > left {
			w.limit(child.path, 0, e.Place.Size(), "more than %d bytes in all files", w.limits.Total)
			return format.Source{}, nil, errStop
		}
		return *e.Place, nil, nil
	}
	if e.Open == nil {
		return format.Source{}, nil, nil
	}
	r, err := e.Open()
	if err != nil {
		return format.Source{}, nil, err
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	most := w.limits.FileSize
	if e.Size >= 0 {
		most = min(most, e.Size+1)
	}
	s := &spool{dir: w.o.TempDir}
	err = v.copy(s, r, most, left)
	if err == nil && e.Size >= 0 && s.size < e.Size {
		err = tree.Broken("file of %d bytes ends after %d", e.Size, s.size)
	}
	src, own := s.source()
	return src, s.close, errors.Join(err, own)
}

// errRatio ends one container.
var errRatio = fmt.Errorf("unpacks to far more than its size: %w", tree.ErrLimit)

func (v *visitor) copy(s *spool, r io.Reader, most, left int64) error {
	w := v.w
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(w.buf)
		v.out += int64(n)
		if s.size+int64(n) > most {
			return fmt.Errorf("file of more than %d bytes: %w", most, tree.ErrLimit)
		}
		if s.size+int64(n) > left {
			w.limit(v.n.path, 0, 0, "more than %d bytes in all files", w.limits.Total)
			return errStop
		}
		if v.out > w.limits.Free && v.out/w.limits.Ratio > v.packed {
			return errRatio
		}
		if n > 0 {
			if err := s.write(w.buf[:n]); err != nil {
				v.fatal = err
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
}
