package fit

import (
	"crypto"
	"fmt"
	"io"
	"strings"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// A span is a part of the structure block.
type span struct{ at, end int64 }

// mustCover are the nodes that a signature of c has to cover, worked out from what the
// configuration uses: the root, itself, its images and what binds their data. The image
// lists them too, as hashed-nodes; nothing covers that list, and pointing it at copies of
// the real nodes got past every U-Boot until March 2026 (CVE-2026-46728).
func (img *Image) mustCover(c *config) map[*fdt.Node]bool {
	listed := map[*fdt.Node]bool{img.tree.Root: true, c.node: true}
	for _, p := range c.parts {
		listed[p.node] = true
		for _, n := range p.node.Children {
			if isHash(n) || n.Name == cipherNode || n.Name == verityNode {
				listed[n] = true
			}
		}
	}
	return listed
}

// claimedNodes are those that the signature itself lists.
func (img *Image) claimedNodes(s signature) map[*fdt.Node]bool {
	paths, err := img.tree.Strings(s.node.Property(nodesProp))
	if err != nil || paths == nil {
		return nil
	}
	listed := map[*fdt.Node]bool{}
	for _, path := range paths {
		if n := img.tree.Find(path); n != nil {
			listed[n] = true
		}
	}
	return listed
}

// cover tells which tokens a signature over the listed nodes covers (boot/fdt_region.c:
// fdt_find_regions): of a listed node all, except where its data lies; of a child of one
// its name and end; the end of the tree.
func (img *Image) cover(listed map[*fdt.Node]bool) []bool {
	covered := make([]bool, len(img.tree.Tokens))
	const all = 2 // one less for each level below a listed node
	var outer []int
	want := 0
	for i, tok := range img.tree.Tokens {
		switch tok.Kind {
		case fdt.BeginNode:
			outer = append(outer, want)
			if listed[tok.Node] {
				want = all
			} else if want > 0 {
				want--
			}
			covered[i] = want > 0
		case fdt.EndNode:
			// Inside a node that is not covered, the end that follows something covered is covered as well.
			covered[i] = want > 0 || i > 0 && covered[i-1]
			want, outer = outer[len(outer)-1], outer[:len(outer)-1]
		case fdt.Prop:
			covered[i] = want == all && !notCovered(tok.Property)
		case fdt.Nop:
			covered[i] = want == all
		case fdt.End:
			covered[i] = true
		}
	}
	return covered
}

// digest hashes what covered says, and the first bytes of the string block behind it.
func (img *Image) digest(covered []bool, names int64, h crypto.Hash) ([]byte, error) {
	var spans []span
	total := int64(0)
	for i, tok := range img.tree.Tokens {
		if !covered[i] {
			continue
		}
		total += tok.End - tok.At
		if n := len(spans); n > 0 && spans[n-1].end == tok.At {
			spans[n-1].end = tok.End
			continue
		}
		spans = append(spans, span{tok.At, tok.End})
	}
	if total > maxCovered {
		return nil, format.Malformed("%d bytes beside the images' data, at most %d are read", total, maxCovered)
	}
	spans = append(spans, span{img.tree.Header.StringsAt, img.tree.Header.StringsAt + names})
	w := h.New()
	for _, s := range spans {
		if err := img.hashSection(w, s.at, s.end-s.at); err != nil {
			return nil, err
		}
	}
	return w.Sum(nil), nil
}

const maxCovered = 16 << 20 // bytes of nodes and properties

func (img *Image) hashSection(w io.Writer, at, size int64) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{img.src.Section(at, size)}, make([]byte, min(size+1, 256<<10)))
	if err != nil {
		return fmt.Errorf("read %d bytes at 0x%x: %w", size, at, err)
	}
	if n != size {
		return format.Malformed("%d bytes at 0x%x, there are %d", size, at, n)
	}
	return nil
}

// unnamed is a covered property whose name the signature does not cover, because it lies
// behind the first bytes of the string block: it could be given another.
func (img *Image) unnamed(covered []bool, names int64) *fdt.Property {
	for i, tok := range img.tree.Tokens {
		if p := tok.Property; covered[i] && p != nil && p.NameAt+int64(len(p.Name))+1 > names {
			return p
		}
	}
	return nil
}

// algorithms splits "sha256,rsa2048".
func (s signature) algorithms() (digest, key string) {
	digest, key, _ = strings.Cut(s.algo, ",")
	return digest, key
}
