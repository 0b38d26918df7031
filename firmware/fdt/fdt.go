// Package fdt reads and writes flattened device trees: the container of U-Boot's FIT
// images, of its control device tree and of the hardware descriptions beside a kernel.
// It reads as strictly as the strictest of them: what two readers could take
// differently is refused. It never holds a property's value before it is asked for
// it, so a tree of some hundred megabytes costs what its structure costs.
package fdt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"assay/firmware/format"
)

// Numbers of the format: Devicetree Specification v0.4 chapter 5. All integers are big endian.
const (
	Magic = 0xd00dfeed

	headerSize    = 40
	version       = 17
	compatibleTo  = 16
	reservedEntry = 16
	propertyHead  = 12 // tag, length, name
	tagSize       = 4
)

// A Kind is the kind of a token of the structure block; its value is the tag.
type Kind uint32

// The tokens.
const (
	BeginNode Kind = 1
	EndNode   Kind = 2
	Prop      Kind = 3
	Nop       Kind = 4
	End       Kind = 9
)

// What a tree may have at most. U-Boot stops at a depth of 32 (FDT_MAX_DEPTH) and
// knows no limit on the rest.
const (
	maxDepth    = 32
	maxTokens   = 1 << 18
	maxStrings  = 1 << 20
	maxName     = 255
	maxReserved = 1 << 10
)

// A Header is the head of a tree; offsets count from its first byte.
type Header struct {
	TotalSize    int64
	StructAt     int64
	StructSize   int64
	StringsAt    int64
	StringsSize  int64
	ReservedAt   int64
	ReservedSize int64 // with the entry of zeros that ends it
	Version      uint32
	CompatibleTo uint32
	BootCPU      uint32
}

// A Tree is a parsed tree. It keeps the source it was made from.
type Tree struct {
	Header   Header
	Root     *Node
	Tokens   []Token // in the order of the structure block
	Reserved []Reservation

	src     format.Source
	strings string
}

// A Reservation is memory that the tree asks to leave alone.
type Reservation struct{ Address, Size uint64 }

// A Node is one node; the root's name is empty.
type Node struct {
	Name       string
	Parent     *Node
	Children   []*Node
	Properties []*Property
	At         int64 // of its BEGIN tag in the file
}

// A Property is one property; its value stays in the file.
type Property struct {
	Name   string
	Node   *Node
	NameAt int64 // in the string block
	At     int64 // of its tag in the file
	Value  int64 // offset of the value in the file
	Size   int64
}

// A Token is one entry of the structure block, from At to End in the file.
type Token struct {
	Kind     Kind
	At, End  int64
	Node     *Node     // of BEGIN and END the node itself, else the one it lies in; nil at the end
	Property *Property // of PROP
}

// Is tells whether b begins as a tree does.
func Is(b []byte) bool { return len(b) >= 4 && binary.BigEndian.Uint32(b) == Magic }

// Parse reads the tree at the beginning of src; bytes may follow it.
func Parse(src format.Source) (*Tree, error) {
	t := &Tree{src: src}
	if err := t.parse(); err != nil {
		return nil, fmt.Errorf("parse device tree: %w", err)
	}
	return t, nil
}

// Source is what the tree was parsed from.
func (t *Tree) Source() format.Source { return t.src }

// Path of the node; "/" is the root.
func (n *Node) Path() string {
	if n.Parent == nil {
		return "/"
	}
	var names []string
	for ; n.Parent != nil; n = n.Parent {
		names = append(names, n.Name)
	}
	var b strings.Builder
	for i := len(names) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(names[i])
	}
	return b.String()
}

// Child is the child of exactly that name, nil if there is none.
func (n *Node) Child(name string) *Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Property is the property of that name, nil if there is none.
func (n *Node) Property(name string) *Property {
	for _, p := range n.Properties {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Find is the node at an absolute path, nil if there is none.
func (t *Tree) Find(path string) *Node {
	rest, absolute := strings.CutPrefix(path, "/")
	if !absolute {
		return nil
	}
	n := t.Root
	for rest != "" && n != nil {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		n = n.Child(name)
	}
	return n
}

// Bytes is the value of p, which may have up to limit bytes; nil for no property.
func (t *Tree) Bytes(p *Property, limit int64) ([]byte, error) {
	if p == nil {
		return nil, nil
	}
	if p.Size > limit {
		return nil, malformed("%s of %s has %d bytes, at most %d are read", p.Name, p.Node.Path(), p.Size, limit)
	}
	return t.src.Bytes(p.Value, p.Size)
}

const maxText = 4096

// Strings is the value of p as a list of strings, each ended by a zero byte; nil for no property.
func (t *Tree) Strings(p *Property) ([]string, error) {
	b, err := t.Bytes(p, maxText)
	if err != nil || p == nil {
		return nil, err
	}
	if len(b) == 0 || b[len(b)-1] != 0 {
		return nil, malformed("%s of %s is no list of strings", p.Name, p.Node.Path())
	}
	return strings.Split(string(b[:len(b)-1]), "\x00"), nil
}

// Text is the value of p as one string; empty for no property.
func (t *Tree) Text(p *Property) (string, error) {
	list, err := t.Strings(p)
	if err != nil || p == nil {
		return "", err
	}
	if len(list) != 1 {
		return "", malformed("%s of %s is %d strings, want one", p.Name, p.Node.Path(), len(list))
	}
	return list[0], nil
}

// Cells is the value of p as 32-bit numbers; nil for no property.
func (t *Tree) Cells(p *Property) ([]uint32, error) {
	b, err := t.Bytes(p, maxText)
	if err != nil || p == nil {
		return nil, err
	}
	if len(b)%4 != 0 {
		return nil, malformed("%s of %s has %d bytes, want 32-bit cells", p.Name, p.Node.Path(), len(b))
	}
	cells := make([]uint32, len(b)/4)
	for i := range cells {
		cells[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	return cells, nil
}

func malformed(why string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(why, args...), format.ErrMalformed)
}

// printable holds for names as devices and people may be shown them.
func printable(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

func cut(b []byte) ([]byte, bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, false
	}
	return b[:i], true
}
