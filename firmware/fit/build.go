package fit

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// A Spec is what Build needs to make a FIT.
type Spec struct {
	Description    string
	Made           time.Time // written as the timestamp; zero writes none
	Parts          []Part
	Configurations []Configuration
	Default        string // name of the default configuration; empty writes none

	SignImages bool   // sign the images instead of the configurations
	Digest     string // of signatures; empty means sha256
	PSS        bool   // RSA with PSS padding instead of PKCS#1 v1.5
	Hint       string // key-name-hint; empty means dev

	External bool  // put the data behind the tree
	Position int64 // put it at this position of the file; 0 counts from the end of the tree
}

// A Part is one image of a Spec.
type Part struct {
	Name, Type, Arch, OS string
	Load                 uint32 // also the entry; 0 writes none
	Data                 []byte
	Hashes               []string          // digests of hash nodes; nil means sha256
	Verity               map[string]string // properties of a dm-verity node; nil writes none
}

// A Configuration is one configuration of a Spec.
type Configuration struct {
	Name, Description string
	Compatible        []string
	Uses              []Use
	Unsigned          bool
}

// A Use names the images that a configuration uses as one thing: kernel, fdt, loadables.
type Use struct {
	As    string
	Parts []string
}

// Build makes a FIT signed by key, RSA or ECDSA, as mkimage -f -k would.
func Build(spec Spec, key crypto.Signer) ([]byte, error) {
	b, err := build(spec, key)
	if err != nil {
		return nil, fmt.Errorf("build U-Boot FIT: %w", err)
	}
	return b, nil
}

func build(spec Spec, key crypto.Signer) ([]byte, error) {
	d, err := spec.draft()
	if err != nil {
		return nil, err
	}
	tail := spec.moveOut(d.Find(imagesPath))
	how := scheme{digest: spec.Digest, pss: spec.PSS, hint: spec.Hint}
	for _, p := range spec.Parts {
		if spec.SignImages && key != nil {
			if err := how.signPart(d.Find(imagesPath).Child(p.Name), p.Data, key); err != nil {
				return nil, err
			}
		}
	}
	var names []string
	for _, c := range spec.Configurations {
		if !c.Unsigned && !spec.SignImages && key != nil {
			names = append(names, c.Name)
		}
	}
	return how.sign(d, tail, spec.Position, names, key)
}

func (spec Spec) draft() (*fdt.Draft, error) {
	root := &fdt.Item{}
	if !spec.Made.IsZero() {
		root.SetCells("timestamp", uint32(spec.Made.Unix()))
	}
	root.SetText("description", spec.Description)
	root.SetCells("#address-cells", 1)
	images := root.Add("images")
	for _, p := range spec.Parts {
		if err := p.write(images.Add(p.Name)); err != nil {
			return nil, err
		}
	}
	configs := root.Add("configurations")
	if spec.Default != "" {
		configs.SetText(defaultProp, spec.Default)
	}
	for _, c := range spec.Configurations {
		n := configs.Add(c.Name)
		n.SetText("description", c.Description)
		for _, u := range c.Uses {
			n.SetText(u.As, u.Parts...)
		}
		if c.Compatible != nil {
			n.SetText("compatible", c.Compatible...)
		}
	}
	return &fdt.Draft{Root: root}, nil
}

func (p Part) write(n *fdt.Item) error {
	n.SetText("description", p.Name)
	n.Set(dataProp, p.Data)
	for _, prop := range []struct{ name, value string }{{"type", p.Type}, {"arch", p.Arch}, {"os", p.OS}, {"compression", "none"}} {
		if prop.value != "" {
			n.SetText(prop.name, prop.value)
		}
	}
	if p.Load != 0 {
		n.SetCells("load", p.Load)
		n.SetCells("entry", p.Load)
	}
	hashes := p.Hashes
	if hashes == nil {
		hashes = []string{"sha256"}
	}
	for i, algo := range hashes {
		if err := writeHash(n.Add(fmt.Sprintf("hash-%d", i+1)), algo, p.Data); err != nil {
			return err
		}
	}
	if p.Verity != nil {
		v := n.Add(verityNode)
		for name, value := range p.Verity {
			v.SetText(name, value)
		}
	}
	return nil
}

func writeHash(n *fdt.Item, algo string, data []byte) error {
	h := newHash(algo)
	if h == nil {
		return fmt.Errorf("no digest %q", algo)
	}
	h.Write(data)
	n.Set("value", h.Sum(nil))
	n.SetText("algo", algo)
	return nil
}

// moveOut puts the data behind the tree, as mkimage -E does, and returns it.
func (spec Spec) moveOut(images *fdt.Item) (tail []byte) {
	if !spec.External && spec.Position == 0 {
		return nil
	}
	for _, n := range images.Nodes {
		data := n.Get(dataProp)
		n.Unset(dataProp)
		n.SetCells(sizeProp, uint32(len(data)))
		if spec.Position != 0 {
			n.SetCells(posProp, uint32(spec.Position)+uint32(len(tail)))
		} else {
			n.SetCells(offsetProp, uint32(len(tail)))
		}
		tail = append(tail, data...)
		for len(tail)%4 != 0 {
			tail = append(tail, 0)
		}
	}
	return tail
}

// A scheme is how a signature is made.
type scheme struct {
	digest string // empty: sha256
	pss    bool
	hint   string // empty: dev
	node   string // name of the signature's node; empty: signature-1
}

func (how scheme) write(n *fdt.Item, key crypto.Signer) error {
	kind := keyAlgorithm(key.Public())
	if kind == "" {
		return fmt.Errorf("a FIT knows no signature of a key %T: %w", key.Public(), format.ErrAlgorithm)
	}
	n.SetText("algo", how.digestName()+","+kind)
	n.SetText(hintProp, how.hintName())
	if how.pss {
		n.SetText("padding", paddingPSS)
	}
	return nil
}

func (how scheme) digestName() string {
	if how.digest == "" {
		return "sha256"
	}
	return how.digest
}

func (how scheme) hintName() string {
	if how.hint == "" {
		return "dev"
	}
	return how.hint
}

func (how scheme) nodeName() string {
	if how.node == "" {
		return "signature-1"
	}
	return how.node
}

// item is the signature's node below n, made if it is not there.
func (how scheme) item(n *fdt.Item) *fdt.Item {
	if s := n.Child(how.nodeName()); s != nil {
		return s
	}
	return n.Add(how.nodeName())
}

func (how scheme) signPart(n *fdt.Item, data []byte, key crypto.Signer) error {
	s := how.item(n)
	if err := how.write(s, key); err != nil {
		return err
	}
	h, ok := hashOf(how.digestName())
	if !ok {
		return fmt.Errorf("no digest %q", how.digest)
	}
	w := h.New()
	w.Write(data)
	value, err := how.value(key, h, w.Sum(nil))
	s.Set("value", value)
	return err
}

// sign writes the tree with a signature of each named configuration, and tail behind it.
func (how scheme) sign(d *fdt.Draft, tail []byte, position int64, configs []string, key crypto.Signer) ([]byte, error) {
	h, ok := hashOf(how.digestName())
	if !ok {
		return nil, fmt.Errorf("no digest %q", how.digest)
	}
	for _, name := range configs {
		n := d.Find(configsPath).Child(name)
		s := how.item(n)
		if err := how.write(s, key); err != nil {
			return nil, err
		}
		// Values of the right size, so that nothing moves when the real ones are put in.
		s.Set("value", make([]byte, valueSize(key.Public())))
		s.SetCells(stringsProp, 0, 0)
		s.Set(nodesProp, slices.Concat([]byte("/\x00"), hashedNodes(d, name)))
	}
	b, err := assemble(d, tail, position)
	if err != nil {
		return nil, err
	}
	for _, name := range configs {
		if err := how.signConfig(b, name, h, key); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// signConfig fills in the signature of one configuration.
func (how scheme) signConfig(b []byte, name string, h crypto.Hash, key crypto.Signer) error {
	img, err := OpenUnverified(format.FromBytes(b))
	if err != nil {
		return err
	}
	c := img.configOf(name)
	s := c.node.Child(how.nodeName())
	names := img.tree.Header.StringsSize
	digest, err := img.digest(img.cover(img.mustCover(c)), names, h)
	if err != nil {
		return err
	}
	value, err := how.value(key, h, digest)
	if err != nil {
		return err
	}
	copy(b[s.Property("value").Value:], value)
	binary.BigEndian.PutUint32(b[s.Property(stringsProp).Value+4:], uint32(names))
	return nil
}

// hashedNodes is the list that old U-Boots go by, in the order of mkimage.
func hashedNodes(d *fdt.Draft, config string) (list []byte) {
	add := func(path string) { list = append(append(list, path...), 0) }
	add(configsPath + "/" + config)
	for _, v := range d.Find(configsPath).Child(config).Props {
		if namesNoImage(v.Name) {
			continue
		}
		for _, part := range splitText(v.Data) {
			n := d.Find(imagesPath).Child(part)
			if n == nil {
				continue
			}
			add(imagesPath + "/" + part)
			for _, c := range n.Nodes {
				if o := (&fdt.Node{Name: c.Name}); isHash(o) || c.Name == cipherNode || c.Name == verityNode {
					add(imagesPath + "/" + part + "/" + c.Name)
				}
			}
		}
	}
	return list
}

// assemble puts the data behind the tree, where position says or after the next multiple of 4.
func assemble(d *fdt.Draft, tail []byte, position int64) ([]byte, error) {
	b, err := d.Encode()
	if err != nil || tail == nil {
		return b, err
	}
	at := (int64(len(b)) + 3) &^ 3
	if position > 0 {
		if position < at {
			return nil, errors.New("the tree does not end before the position of the data")
		}
		at = position
	}
	return append(append(b, make([]byte, at-int64(len(b)))...), tail...), nil
}
