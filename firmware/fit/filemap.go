package fit

import (
	"cmp"
	"slices"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// A fileMap tells of each byte of the file whether the signatures of one configuration cover it.
type fileMap struct {
	pieces []piece // in the order of the file, without holes
	props  map[*fdt.Property]bool
	data   map[*part]bool
}

type piece struct {
	name    string
	at, end int64
	covered bool
}

// mapOf draws the map for configuration c: by its signature, or by those of its images.
func (img *Image) mapOf(c *config, bySignature bool) fileMap {
	m := fileMap{props: map[*fdt.Property]bool{}, data: map[*part]bool{}}
	tokens := make([]bool, len(img.tree.Tokens))
	names := int64(0)
	if c != nil {
		for _, p := range c.parts {
			m.data[p] = len(p.signatures) > 0
			if bySignature {
				m.data[p] = p.bound()
			}
		}
	}
	if c != nil && bySignature {
		for _, s := range c.signatures {
			if s.strings >= 0 && (names == 0 || s.strings < names) {
				names = s.strings
				tokens = img.cover(img.mustCover(c))
			}
		}
		if names == 0 {
			m.data = map[*part]bool{}
		}
	}
	m.draw(img, tokens, names)
	return m
}

func (m *fileMap) draw(img *Image, tokens []bool, names int64) {
	h := img.tree.Header
	m.add("header", 0, 40, false)
	m.add("memory reservations", h.ReservedAt, h.ReservedAt+h.ReservedSize, false)
	m.add("property names", h.StringsAt, h.StringsAt+names, true)
	m.add("property names", h.StringsAt+names, h.StringsAt+h.StringsSize, false)
	within := map[*fdt.Property]*part{}
	for _, p := range img.parts {
		if d := p.node.Property(dataProp); d != nil {
			within[d] = p
		} else {
			m.add(p.name+" data", p.at, p.at+p.size, m.data[p])
		}
	}
	for i, tok := range img.tree.Tokens {
		name := "nodes and properties"
		if !tokens[i] && tok.Node != nil {
			name = tok.Node.Path()
		}
		p := within[tok.Property]
		if tok.Property != nil {
			m.props[tok.Property] = tokens[i]
		}
		if tok.Property == nil || p == nil {
			m.add(name, tok.At, tok.End, tokens[i])
			continue
		}
		m.add(name, tok.At, p.at, false)
		m.add(p.name+" data", p.at, p.at+p.size, m.data[p])
		m.add(name, p.at+p.size, tok.End, false)
	}
	m.fill(img.src.Size())
}

func (m *fileMap) add(name string, at, end int64, covered bool) {
	if end > at {
		m.pieces = append(m.pieces, piece{name, at, end, covered})
	}
}

// fill sorts, merges and names the holes. Data that two images share is told once, by the
// first of them, and covered only where it is so for all.
func (m *fileMap) fill(size int64) {
	m.add("", size, size+1, false) // the end
	slices.SortStableFunc(m.pieces, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
	var out []piece
	end := int64(0)
	put := func(p piece) {
		if n := len(out); n > 0 && out[n-1].name == p.name && out[n-1].covered == p.covered {
			out[n-1].end = p.end
		} else {
			out = append(out, p)
		}
		end = p.end
	}
	for _, p := range m.pieces {
		if p.at > end {
			put(piece{"filling", end, p.at, false})
		}
		if p.at = max(p.at, end); p.end > p.at && p.at < size {
			put(p)
		}
	}
	m.pieces = out
}

func (m fileMap) covers(p *fdt.Property) bool { return m.props[p] }

func (m fileMap) regions() (covered, uncovered []format.Region) {
	for _, p := range m.pieces {
		r := format.Region{Name: p.name, Offset: p.at, Size: p.end - p.at}
		if p.covered {
			covered = append(covered, r)
		} else {
			uncovered = append(uncovered, r)
		}
	}
	return covered, uncovered
}
