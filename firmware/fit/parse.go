package fit

import (
	"fmt"
	"math"
	"strings"
	"time"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// An Image is a parsed FIT. It keeps the source it was made from.
type Image struct {
	src     format.Source
	tree    *fdt.Tree
	byName  map[string]*part
	parts   []*part
	configs []*config
	preset  string // the default configuration; empty if there is none
	stamp   time.Time
	fault   error // what a reader could take in two ways: it can be described, never verified
}

// A part is one image of the FIT: a kernel, a device tree, a ramdisk.
type part struct {
	node       *fdt.Node
	name       string
	at, size   int64 // of the data in the file
	external   bool
	hashes     []hashNode
	signatures []signature
	cipher     string // algorithm; empty: in clear
}

// A config is one configuration: parts that are booted together.
type config struct {
	node       *fdt.Node
	name       string
	compatible []string
	parts      []*part // in the order of the tree, each once
	signatures []signature
}

type hashNode struct {
	node    *fdt.Node
	algo    string
	value   []byte
	ignored bool
}

type signature struct {
	node    *fdt.Node
	algo    string // "sha256,rsa2048"
	padding string
	hint    string
	value   []byte
	strings int64 // bytes of the string block that it covers; -1: says nothing
}

const maxValue = 4096 // bytes of a hash or signature, of a list of nodes

// OpenUnverified parses src strictly: the device tree, where every image's data lies,
// which images the configurations name. It checks neither hash nor signature.
func OpenUnverified(src format.Source) (*Image, error) {
	if src.Size() == 0 {
		return nil, fmt.Errorf("open U-Boot FIT: empty file: %w: %w", format.ErrUnknownFormat, format.ErrMalformed)
	}
	img := &Image{src: src}
	if err := img.parse(); err != nil {
		return nil, fmt.Errorf("open U-Boot FIT: %w", err)
	}
	return img, nil
}

func (img *Image) parse() (err error) {
	if img.tree, err = fdt.Parse(img.src); err != nil {
		return err
	}
	images := img.tree.Find(imagesPath)
	if images == nil {
		return format.Malformed("a device tree without %s is no FIT", imagesPath)
	}
	if err := img.checkNames(); err != nil {
		return err
	}
	img.byName = map[string]*part{}
	for _, n := range images.Children {
		p, err := img.part(n)
		if err != nil {
			return err
		}
		img.parts, img.byName[p.name] = append(img.parts, p), p
	}
	if len(img.parts) == 0 {
		return format.Malformed("no image in %s", imagesPath)
	}
	if err := img.parseConfigs(); err != nil {
		return err
	}
	stamp, err := img.tree.Cells(img.tree.Root.Property("timestamp"))
	if err != nil {
		return err
	}
	if len(stamp) == 1 && stamp[0] != 0 {
		img.stamp = time.Unix(int64(stamp[0]), 0).UTC()
	}
	return img.checkTail()
}

// What a FIT may have at most: U-Boot hashes at most 100 nodes with paths of 200 bytes
// (IMAGE_MAX_HASHED_NODES), and no product has that many configurations or signatures.
const (
	maxTokens     = 1 << 16
	maxPath       = 200
	maxConfigs    = 1 << 12
	maxSignatures = 16 // of one node
)

// checkNames finds names with a unit address. libfdt takes "kernel@1" for "kernel"
// (CVE-2021-27138), so U-Boot refuses them where signatures count; images from before
// that have them and may be looked at.
func (img *Image) checkNames() error {
	if len(img.tree.Tokens) > maxTokens {
		return format.Malformed("%d nodes and properties, at most %d are read of a FIT", len(img.tree.Tokens), maxTokens)
	}
	for _, tok := range img.tree.Tokens {
		if tok.Kind != fdt.BeginNode {
			continue
		}
		path := tok.Node.Path()
		if len(path) > maxPath {
			return format.Malformed("path %.40q... of %d bytes, U-Boot has room for %d", path, len(path), maxPath)
		}
		if strings.Contains(tok.Node.Name, "@") && img.fault == nil {
			img.fault = format.Malformed("node %s has a unit address, which libfdt leaves out when it looks for a name", path)
		}
	}
	return nil
}

func (img *Image) part(n *fdt.Node) (*part, error) {
	p := &part{node: n, name: n.Name}
	if err := img.locate(p); err != nil {
		return nil, err
	}
	for _, c := range n.Children {
		switch {
		case isHash(c):
			h, err := img.hashNode(c)
			if err != nil {
				return nil, err
			}
			p.hashes = append(p.hashes, h)
		case isSignature(c):
			s, err := img.signature(c)
			if err != nil {
				return nil, err
			}
			if p.signatures = append(p.signatures, s); len(p.signatures) > maxSignatures {
				return nil, format.Malformed("more than %d signatures in %s", maxSignatures, n.Path())
			}
		case c.Name == cipherNode:
			algo, err := img.tree.Text(c.Property("algo"))
			if err != nil {
				return nil, err
			}
			if p.cipher = algo; algo == "" {
				p.cipher = "unknown"
			}
		}
	}
	return p, nil
}

// locate finds the data: in the tree, or outside of it at an offset from its end rounded
// up to 4, or at a position in the file. Nothing covers those numbers.
func (img *Image) locate(p *part) error {
	in, size := p.node.Property(dataProp), p.node.Property(sizeProp)
	offset, pos := p.node.Property(offsetProp), p.node.Property(posProp)
	if in != nil {
		if offset != nil || pos != nil {
			return format.Malformed("%s has its data inside the tree and outside", p.node.Path())
		}
		p.at, p.size = in.Value, in.Size
		return nil
	}
	if size == nil || (offset == nil) == (pos == nil) {
		return format.Malformed("%s: want data, or data-size with either data-offset or data-position", p.node.Path())
	}
	n, err := img.number(size)
	if err != nil {
		return err
	}
	p.size, p.external = n, true
	end := (img.tree.Header.TotalSize + 3) &^ 3
	if pos != nil {
		p.at, err = img.number(pos)
	} else if p.at, err = img.number(offset); err == nil {
		p.at += end
	}
	if err != nil {
		return err
	}
	if p.at < img.tree.Header.TotalSize {
		return format.Malformed("data of %s at 0x%x lies inside the tree of %d bytes", p.node.Path(), p.at, img.tree.Header.TotalSize)
	}
	if p.at > img.src.Size() || p.size > img.src.Size()-p.at {
		return format.Malformed("data of %s, %d bytes at 0x%x, lies outside the file of %d bytes", p.node.Path(), p.size, p.at, img.src.Size())
	}
	return nil
}

// number is one cell that U-Boot reads as a signed integer.
func (img *Image) number(p *fdt.Property) (int64, error) {
	cells, err := img.tree.Cells(p)
	if err != nil {
		return 0, err
	}
	if len(cells) != 1 || cells[0] > math.MaxInt32 {
		return 0, format.Malformed("%s of %s is no positive number of 32 bits", p.Name, p.Node.Path())
	}
	return int64(cells[0]), nil
}

func (img *Image) hashNode(n *fdt.Node) (h hashNode, err error) {
	h = hashNode{node: n, ignored: n.Property(ignoreProp) != nil}
	if h.algo, err = img.tree.Text(n.Property("algo")); err != nil {
		return h, err
	}
	h.value, err = img.tree.Bytes(n.Property("value"), maxValue)
	return h, err
}

func (img *Image) signature(n *fdt.Node) (s signature, err error) {
	s = signature{node: n, strings: -1}
	for name, to := range map[string]*string{"algo": &s.algo, "padding": &s.padding, hintProp: &s.hint} {
		if *to, err = img.tree.Text(n.Property(name)); err != nil {
			return s, err
		}
	}
	if s.value, err = img.tree.Bytes(n.Property("value"), maxValue); err != nil {
		return s, err
	}
	p := n.Property(stringsProp)
	if p == nil {
		return s, nil
	}
	cells, err := img.tree.Cells(p)
	if err != nil {
		return s, err
	}
	// The first cell is an offset that U-Boot does not look at; mkimage writes 0.
	if len(cells) != 2 || cells[0] != 0 || int64(cells[1]) > img.tree.Header.StringsSize {
		return s, format.Malformed("%s of %s names bytes outside the string block of %d", stringsProp, n.Path(), img.tree.Header.StringsSize)
	}
	s.strings = int64(cells[1])
	return s, nil
}
