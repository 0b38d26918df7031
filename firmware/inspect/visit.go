package inspect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"assay/firmware/format"
	"assay/firmware/inspect/found"
	"assay/firmware/inspect/tree"
)

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
