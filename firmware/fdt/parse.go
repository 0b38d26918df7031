package fdt

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"assay/firmware/format"
)

func (t *Tree) parse() error {
	if err := t.parseHeader(); err != nil {
		return err
	}
	if err := t.parseReserved(); err != nil {
		return err
	}
	if err := t.checkBlocks(); err != nil {
		return err
	}
	names, err := t.src.Bytes(t.Header.StringsAt, t.Header.StringsSize)
	if err != nil {
		return err
	}
	t.strings = string(names)
	return t.parseStruct()
}

func (t *Tree) parseHeader() error {
	if t.src.Size() < headerSize {
		return malformed("%d bytes are no header", t.src.Size())
	}
	b, err := t.src.Bytes(0, headerSize)
	if err != nil {
		return err
	}
	field := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[4*i:])) }
	if field(0) != Magic {
		return malformed("header magic 0x%08x", field(0))
	}
	t.Header = Header{
		TotalSize: field(1), StructAt: field(2), StringsAt: field(3), ReservedAt: field(4),
		Version: uint32(field(5)), CompatibleTo: uint32(field(6)), BootCPU: uint32(field(7)),
		StringsSize: field(8), StructSize: field(9),
	}
	h := t.Header
	if h.Version < version || h.CompatibleTo > version || h.CompatibleTo > h.Version {
		return malformed("version %d, compatible to %d, want %d", h.Version, h.CompatibleTo, version)
	}
	if h.TotalSize < headerSize || h.TotalSize > t.src.Size() {
		return malformed("header says %d bytes, there are %d", h.TotalSize, t.src.Size())
	}
	if h.StringsSize > maxStrings {
		return malformed("%d bytes of property names, at most %d are read", h.StringsSize, maxStrings)
	}
	if h.StructAt%4 != 0 || h.ReservedAt%8 != 0 {
		return malformed("blocks at 0x%x and 0x%x are not aligned", h.StructAt, h.ReservedAt)
	}
	return nil
}

func (t *Tree) parseReserved() error {
	for at := t.Header.ReservedAt; ; at += reservedEntry {
		if at < headerSize || at+reservedEntry > t.Header.TotalSize || len(t.Reserved) > maxReserved {
			return malformed("memory reservations do not end inside the tree")
		}
		b, err := t.src.Bytes(at, reservedEntry)
		if err != nil {
			return err
		}
		r := Reservation{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
		if r == (Reservation{}) {
			t.Header.ReservedSize = at + reservedEntry - t.Header.ReservedAt
			return nil
		}
		t.Reserved = append(t.Reserved, r)
	}
}

// checkBlocks wants the blocks inside the tree and apart: overlapping ones would let
// one byte be two things.
func (t *Tree) checkBlocks() error {
	h := t.Header
	type block struct{ at, size int64 }
	blocks := []block{{0, headerSize}, {h.ReservedAt, h.ReservedSize}, {h.StructAt, h.StructSize}, {h.StringsAt, h.StringsSize}}
	slices.SortFunc(blocks[1:], func(a, b block) int { return cmp.Compare(a.at, b.at) })
	end := int64(0)
	for _, b := range blocks {
		if b.at < end || b.at+b.size > h.TotalSize {
			return malformed("block of %d bytes at 0x%x overlaps another or leaves the tree", b.size, b.at)
		}
		end = b.at + b.size
	}
	return nil
}

// parseStruct reads the structure block token by token, without recursion. Exactly one
// unnamed root, directly followed by END, which is the last of the block: a second root
// in front of the real one was CVE-2021-27097.
func (t *Tree) parseStruct() error {
	c := cursor{src: t.src, at: t.Header.StructAt, end: t.Header.StructAt + t.Header.StructSize}
	var node *Node
	depth := 0
	for {
		if len(t.Tokens) >= maxTokens {
			return malformed("more than %d nodes and properties", maxTokens)
		}
		tag, err := c.uint32()
		if err != nil {
			return err
		}
		tok := Token{Kind: Kind(tag), At: c.at - tagSize, Node: node}
		if node == nil && (tok.Kind != BeginNode || t.Root != nil) && tok.Kind != End {
			return malformed("tag %d at 0x%x outside the one root node", tag, tok.At)
		}
		switch tok.Kind {
		case BeginNode:
			if depth++; depth > maxDepth {
				return malformed("nodes nested deeper than %d", maxDepth)
			}
			if node, err = t.begin(&c, node, tok.At); err != nil {
				return err
			}
			tok.Node = node
		case EndNode:
			node, depth = node.Parent, depth-1
		case Prop:
			if tok.Property, err = t.property(&c, node, tok.At); err != nil {
				return err
			}
		case Nop:
		case End:
			if node != nil || t.Root == nil || c.at != c.end {
				return malformed("end tag at 0x%x is not the end of the structure", tok.At)
			}
		default:
			return malformed("unknown tag 0x%x at 0x%x", tag, tok.At)
		}
		tok.End = c.at
		t.Tokens = append(t.Tokens, tok)
		if tok.Kind == End {
			return t.checkNames()
		}
	}
}

func (t *Tree) begin(c *cursor, parent *Node, at int64) (*Node, error) {
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	n := &Node{Name: name, Parent: parent, At: at}
	switch {
	case parent == nil && name != "":
		return nil, malformed("root node is named %q", name)
	case parent == nil:
		t.Root = n
	case name == "" || !printable(name) || strings.Contains(name, "/"):
		return nil, malformed("node name %.40q at 0x%x", name, at)
	default:
		parent.Children = append(parent.Children, n)
	}
	return n, c.align()
}

func (t *Tree) property(c *cursor, node *Node, at int64) (*Property, error) {
	if len(node.Children) > 0 {
		// libfdt finds properties only before the first child: two readers, two trees.
		return nil, malformed("property at 0x%x behind the children of %s", at, node.Path())
	}
	size, err := c.uint32()
	if err != nil {
		return nil, err
	}
	nameAt, err := c.uint32()
	if err != nil {
		return nil, err
	}
	if int64(nameAt) >= int64(len(t.strings)) {
		return nil, malformed("name of the property at 0x%x lies outside the string block", at)
	}
	end := strings.IndexByte(t.strings[nameAt:min(len(t.strings), int(nameAt)+maxName+1)], 0)
	if end <= 0 {
		return nil, malformed("name of the property at 0x%x is empty or does not end", at)
	}
	name := t.strings[nameAt : int(nameAt)+end]
	if !printable(name) {
		return nil, malformed("property name %.40q at 0x%x", name, at)
	}
	p := &Property{Name: name, Node: node, NameAt: int64(nameAt), At: at, Value: c.at, Size: int64(size)}
	if err := c.skip(p.Size); err != nil {
		return nil, err
	}
	node.Properties = append(node.Properties, p)
	return p, c.align()
}

// checkNames refuses two nodes or properties of one name under one node: the first
// wins with some readers, the last with others.
func (t *Tree) checkNames() error {
	seen := map[string]bool{}
	for _, tok := range t.Tokens {
		if tok.Kind != BeginNode {
			continue
		}
		clear(seen)
		for _, p := range tok.Node.Properties {
			if seen[p.Name] {
				return malformed("property %s of %s twice", p.Name, tok.Node.Path())
			}
			seen[p.Name] = true
		}
		clear(seen)
		for _, n := range tok.Node.Children {
			if seen[n.Name] {
				return malformed("node %s twice", n.Path())
			}
			seen[n.Name] = true
		}
	}
	return nil
}

// A cursor reads the structure block through a window, so that values are passed over unread.
type cursor struct {
	src     format.Source
	at, end int64
	window  []byte
	from    int64 // offset of the window
}

const windowSize = 16 << 10

// peek returns n bytes, or fewer where the block ends.
func (c *cursor) peek(n int64) ([]byte, error) {
	n = min(n, c.end-c.at)
	if c.at < c.from || c.at+n > c.from+int64(len(c.window)) {
		b, err := c.src.Bytes(c.at, min(windowSize, c.end-c.at))
		if err != nil {
			return nil, err
		}
		c.window, c.from = b, c.at
	}
	return c.window[c.at-c.from:][:n], nil
}

func (c *cursor) uint32() (uint32, error) {
	b, err := c.peek(tagSize)
	if err != nil {
		return 0, err
	}
	if len(b) < tagSize {
		return 0, malformed("structure ends at 0x%x inside a token", c.at)
	}
	c.at += tagSize
	return binary.BigEndian.Uint32(b), nil
}

func (c *cursor) name() (string, error) {
	b, err := c.peek(maxName + 1)
	if err != nil {
		return "", err
	}
	name, ok := cut(b)
	if !ok {
		return "", malformed("node name at 0x%x does not end", c.at)
	}
	c.at += int64(len(name)) + 1
	return string(name), nil
}

func (c *cursor) skip(n int64) error {
	if n > c.end-c.at {
		return malformed("%d bytes at 0x%x leave the structure", n, c.at)
	}
	c.at += n
	return nil
}

func (c *cursor) align() error { return c.skip(-c.at & 3) }
