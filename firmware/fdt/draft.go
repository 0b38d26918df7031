package fdt

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// A Draft is a tree to be written. Encoding a draft of a parsed tree without NOPs that was not
// changed gives the same structure and names, so that signatures over them still fit.
type Draft struct {
	Root     *Item
	Names    []byte // the string block so far; further names are put behind
	Reserved []Reservation
	BootCPU  uint32
}

// An Item is one node of a draft.
type Item struct {
	Name  string
	Props []Value
	Nodes []*Item
}

// A Value is one property of a draft.
type Value struct {
	Name string
	Data []byte
}

// Draft reads the whole tree, values of at most limit bytes together.
func (t *Tree) Draft(limit int64) (*Draft, error) {
	d := &Draft{Names: []byte(t.strings), Reserved: slices.Clone(t.Reserved), BootCPU: t.Header.BootCPU}
	items := map[*Node]*Item{}
	for _, tok := range t.Tokens {
		switch tok.Kind {
		case BeginNode:
			items[tok.Node] = &Item{Name: tok.Node.Name}
			if parent := items[tok.Node.Parent]; parent != nil {
				parent.Nodes = append(parent.Nodes, items[tok.Node])
			} else {
				d.Root = items[tok.Node]
			}
		case Prop:
			b, err := t.Bytes(tok.Property, limit)
			if err != nil {
				return nil, err
			}
			limit -= int64(len(b))
			items[tok.Node].Props = append(items[tok.Node].Props, Value{tok.Property.Name, b})
		}
	}
	return d, nil
}

// Find is the item at an absolute path, nil if there is none.
func (d *Draft) Find(path string) *Item {
	n := d.Root
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' }) {
		if n = n.Child(name); n == nil {
			return nil
		}
	}
	return n
}

// Child is the first child of that name, nil if there is none.
func (n *Item) Child(name string) *Item {
	for _, c := range n.Nodes {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Add appends a child and returns it.
func (n *Item) Add(name string) *Item {
	c := &Item{Name: name}
	n.Nodes = append(n.Nodes, c)
	return c
}

// Remove takes the child c away.
func (n *Item) Remove(c *Item) {
	n.Nodes = slices.DeleteFunc(n.Nodes, func(o *Item) bool { return o == c })
}

// Get is the value of a property, nil if there is none.
func (n *Item) Get(name string) []byte {
	for _, v := range n.Props {
		if v.Name == name {
			return v.Data
		}
	}
	return nil
}

// Set writes a property, in its place if there is one.
func (n *Item) Set(name string, data []byte) {
	for i, v := range n.Props {
		if v.Name == name {
			n.Props[i].Data = data
			return
		}
	}
	n.Props = append(n.Props, Value{name, data})
}

// Unset takes a property away.
func (n *Item) Unset(name string) {
	n.Props = slices.DeleteFunc(n.Props, func(v Value) bool { return v.Name == name })
}

// SetText writes a list of strings.
func (n *Item) SetText(name string, list ...string) {
	n.Set(name, []byte(strings.Join(list, "\x00")+"\x00"))
}

// SetCells writes 32-bit numbers.
func (n *Item) SetCells(name string, cells ...uint32) {
	var b []byte
	for _, c := range cells {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	n.Set(name, b)
}

// Clone copies an item with everything below it.
func (n *Item) Clone() *Item {
	c := &Item{Name: n.Name}
	for _, v := range n.Props {
		c.Props = append(c.Props, Value{v.Name, slices.Clone(v.Data)})
	}
	for _, o := range n.Nodes {
		c.Nodes = append(c.Nodes, o.Clone())
	}
	return c
}

// Encode writes the tree: reservations, structure, names.
func (d *Draft) Encode() ([]byte, error) {
	w := &writer{names: slices.Clone(d.Names), at: map[string]uint32{}}
	w.node(d.Root, 0)
	return w.finish(d)
}

// EncodeBehind writes the tree with the nodes of first in front of its root, as no
// good tree has it: a reader that goes by the first node takes first for the root.
func (d *Draft) EncodeBehind(first *Item) ([]byte, error) {
	w := &writer{names: slices.Clone(d.Names), at: map[string]uint32{}}
	w.node(first, 0)
	w.node(d.Root, 0)
	return w.finish(d)
}

type writer struct {
	structure, names []byte
	at               map[string]uint32
	deep             bool
}

func (w *writer) node(n *Item, depth int) {
	if depth >= maxDepth {
		w.deep = true
		return
	}
	w.uint32(uint32(BeginNode))
	w.structure = append(append(w.structure, n.Name...), 0)
	w.align()
	for _, v := range n.Props {
		w.uint32(uint32(Prop))
		w.uint32(uint32(len(v.Data)))
		w.uint32(w.name(v.Name))
		w.structure = append(w.structure, v.Data...)
		w.align()
	}
	for _, c := range n.Nodes {
		w.node(c, depth+1)
	}
	w.uint32(uint32(EndNode))
}

func (w *writer) uint32(v uint32) { w.structure = binary.BigEndian.AppendUint32(w.structure, v) }

func (w *writer) align() {
	for len(w.structure)%4 != 0 {
		w.structure = append(w.structure, 0)
	}
}

// name finds a name in the string block, as libfdt does: also as the end of another.
func (w *writer) name(s string) uint32 {
	at, ok := w.at[s]
	if !ok {
		if i := strings.Index(string(w.names), s+"\x00"); i >= 0 {
			at = uint32(i)
		} else {
			at = uint32(len(w.names))
			w.names = append(append(w.names, s...), 0)
		}
		w.at[s] = at
	}
	return at
}

func (w *writer) finish(d *Draft) ([]byte, error) {
	w.uint32(uint32(End))
	reserved := int64(len(d.Reserved)+1) * reservedEntry
	structAt := headerSize + reserved
	namesAt := structAt + int64(len(w.structure))
	total := namesAt + int64(len(w.names))
	if w.deep || total > math.MaxInt32 {
		return nil, malformed("tree of %d bytes is too large or too deep", total)
	}
	b := make([]byte, 0, total)
	for _, v := range []uint32{
		Magic, uint32(total), uint32(structAt), uint32(namesAt), headerSize,
		version, compatibleTo, d.BootCPU, uint32(len(w.names)), uint32(len(w.structure)),
	} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	for _, r := range append(slices.Clone(d.Reserved), Reservation{}) {
		b = binary.BigEndian.AppendUint64(b, r.Address)
		b = binary.BigEndian.AppendUint64(b, r.Size)
	}
	return append(append(b, w.structure...), w.names...), nil
}
