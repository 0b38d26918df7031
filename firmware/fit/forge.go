package fit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"strings"
	"time"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// An open tree is one that is being edited: the draft of the tree, and what lies behind it.
type open struct {
	*fdt.Draft
	tail     []byte
	from     int64 // where the tail lay
	position int64 // where it has to lie; 0: right behind the tree
}

// open takes the image apart. Where data lies at fixed positions, it stays there.
func (f *forge) open() (*open, error) {
	d, err := f.img.tree.Draft(maxTampered)
	if err != nil {
		return nil, err
	}
	o := &open{Draft: d}
	offsets := false
	for _, p := range f.img.parts {
		if p.external && p.node.Property(posProp) != nil && (o.position == 0 || p.at < o.position) {
			o.position = p.at
		}
		offsets = offsets || p.node.Property(offsetProp) != nil
	}
	o.from = (f.img.tree.Header.TotalSize + 3) &^ 3
	if o.position > 0 {
		o.from = o.position
	}
	if offsets && o.position > 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "data at offsets and at positions")
	}
	if o.from < int64(len(f.raw)) {
		o.tail = bytes.Clone(f.raw[o.from:])
	}
	return o, nil
}

// close writes the edited tree.
func (f *forge) close(o *open) error {
	b, err := assemble(o.Draft, o.tail, o.position)
	if err != nil {
		return format.Wrap(format.ErrNotApplicable, "write the changed tree: %v", err)
	}
	f.out = b
	return nil
}

func (o *open) part(p *part) *fdt.Item { return o.Find(imagesPath).Child(p.name) }

func (o *open) config(c *config) *fdt.Item { return o.Find(configsPath).Child(c.name) }

// dataOf is the data of a part where it lies now.
func (f *forge) dataOf(p *part) []byte { return bytes.Clone(f.raw[p.at : p.at+p.size]) }

// setData gives an image other data, and hash nodes that fit. External data is put behind
// the rest, since others may claim the old.
func (o *open) setData(n *fdt.Item, data []byte) error {
	if n.Get(sizeProp) == nil {
		n.Set(dataProp, data)
	} else {
		for len(o.tail)%4 != 0 {
			o.tail = append(o.tail, 0)
		}
		at := uint32(len(o.tail))
		n.SetCells(sizeProp, uint32(len(data)))
		if n.Get(posProp) != nil {
			n.SetCells(posProp, uint32(o.position)+at)
		} else {
			n.SetCells(offsetProp, at)
		}
		o.tail = append(o.tail, data...)
	}
	for _, h := range n.Nodes {
		if !strings.HasPrefix(h.Name, hashPrefix) {
			continue
		}
		if algo := strings.TrimSuffix(string(h.Get("algo")), "\x00"); newHash(algo) != nil {
			if err := writeHash(h, algo, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// free makes filling of external data that nothing claims any more.
func (o *open) free(p *part) {
	if p.external {
		clear(o.tail[p.at-o.from:][:p.size])
	}
}

// evil is the target's data with one bit changed.
func (f *forge) evil() []byte {
	data := f.dataOf(f.target)
	data[quiet(data)] ^= 1
	return data
}

func dropSignatures(n *fdt.Item) (dropped []string) {
	for _, c := range n.Clone().Nodes {
		if strings.HasPrefix(c.Name, sigPrefix) {
			n.Remove(n.Child(c.Name))
			dropped = append(dropped, c.Name)
		}
	}
	return dropped
}

func (f *forge) strip() error {
	o, err := f.open()
	if err != nil {
		return err
	}
	for _, under := range []string{imagesPath, configsPath} {
		for _, n := range o.Find(under).Nodes {
			for _, name := range dropSignatures(n) {
				f.changed("node %s/%s/%s taken away", under, n.Name, name)
			}
		}
	}
	f.repaired("size of the tree and its blocks")
	f.expect(format.LayerSignature, format.ErrUnsigned, "configuration or image without a signature")
	return f.close(o)
}

// how is the way in which the image was signed.
func (f *forge) how() (scheme, error) {
	s, err := f.signature()
	digest, _ := s.algorithms()
	return scheme{digest: digest, pss: s.paddingName() == paddingPSS, hint: s.hint, node: s.node1()}, err
}

func (s signature) node1() string {
	if s.node == nil {
		return ""
	}
	return s.node.Name
}

// freshKey makes a key of the kind that signed the image.
func (f *forge) freshKey() (crypto.Signer, error) {
	s, err := f.signature()
	if err != nil {
		return nil, err
	}
	switch _, kind := s.algorithms(); kind {
	case "rsa2048", "rsa1024":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ecdsa256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "secp521r1":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	}
	return nil, format.Wrap(format.ErrNotApplicable, "no key is made for algorithm %.40q", s.algo)
}

// resign signs the edited tree: the default configuration, or each of its images.
func (f *forge) resign(o *open, how scheme, key crypto.Signer) error {
	if !f.byImage {
		n := o.config(f.config)
		keep := how.item(n)
		dropSignatures(n)
		n.Nodes = append(n.Nodes, keep)
		b, err := how.sign(o.Draft, o.tail, o.position, []string{f.config.name}, key)
		if err != nil {
			return format.Wrap(format.ErrNotApplicable, "sign the changed tree: %v", err)
		}
		f.out = b
		f.repaired("signature of configuration %s", f.config.name)
		return nil
	}
	for _, p := range f.config.parts {
		n := o.part(p)
		data := n.Get(dataProp)
		if p.external {
			data = f.dataOf(p)
		}
		dropSignatures(n)
		if err := how.signPart(n, data, key); err != nil {
			return err
		}
		f.repaired("signature of image %s", p.name)
	}
	return f.close(o)
}

func (f *forge) stranger(hint string) error {
	o, err := f.open()
	if err != nil {
		return err
	}
	how, err := f.how()
	if err != nil {
		return err
	}
	key, err := f.freshKey()
	if err != nil {
		return err
	}
	if hint != "" {
		how.hint = hint
	}
	f.changed("signed by a fresh key of the same kind; key-name-hint says %q", how.hint)
	f.expect(format.LayerSignature, format.ErrBadSignature, "consistent in itself, and of a key that nobody trusts")
	return f.resign(o, how, key)
}

func (f *forge) wrongKey() error       { return f.stranger("stranger") }
func (f *forge) wrongKeyForged() error { return f.stranger("") }

// byMaker needs the maker's key, of the kind that signed the image.
func (f *forge) byMaker() (scheme, crypto.Signer, error) {
	how, err := f.how()
	if err != nil {
		return how, nil, err
	}
	if f.means.Signer == nil {
		return how, nil, format.Wrap(format.ErrNotApplicable, "it needs the maker's signing key")
	}
	s, err := f.signature()
	if err != nil {
		return how, nil, err
	}
	if _, kind := s.algorithms(); keyAlgorithm(f.means.Signer.Public()) != kind {
		return how, nil, format.Wrap(format.ErrNotApplicable, "the signing key given is none of %s", s.algo)
	}
	return how, f.means.Signer, nil
}

// weakHash puts a checksum in the place of the kernel's hash, under a good signature.
func (f *forge) weakHash() error {
	if f.byImage {
		return format.Wrap(format.ErrNotApplicable, "signatures of images do not go by hash nodes")
	}
	how, key, err := f.byMaker()
	if err != nil {
		return err
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	n := o.part(f.target)
	for _, h := range n.Clone().Nodes {
		if !strings.HasPrefix(h.Name, hashPrefix) {
			continue
		}
		if err := writeHash(n.Child(h.Name), "crc32", f.dataOf(f.target)); err != nil {
			return err
		}
		f.changed("%s/%s is crc32", f.target.node.Path(), h.Name)
	}
	f.expect(format.LayerPayload, format.ErrWeak, "the signature covers a checksum, under which anybody can put other data")
	f.manifest.Classic = "checksum-only images under a good configuration signature"
	return f.resign(o, how, key)
}

// older is genuine; only the time in it tells, and only to a device that remembers one.
func (f *forge) older() error {
	facts := f.img.Describe()
	if facts.Version == "" {
		return format.Wrap(format.ErrNotApplicable, "nothing tells when the image was made")
	}
	f.manifest.Device = &format.Device{Version: facts.Version}
	f.expect(format.LayerFreshness, format.ErrRollback, "made before %s; U-Boot itself does not look, so the device has to", facts.Version)
	if f.means.Older != nil {
		return f.genuine(f.means.Older, func(img *Image) bool { return img.stamp.Before(f.img.stamp) && !img.stamp.IsZero() }, "was not made before it")
	}
	how, key, err := f.byMaker()
	if err != nil {
		return err
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	before := f.img.stamp.Add(-24 * time.Hour)
	o.Root.Set("timestamp", binary.BigEndian.AppendUint32(nil, uint32(before.Unix())))
	f.changed("timestamp of the root is %s", before.Format(time.RFC3339))
	return f.resign(o, how, key)
}

func (f *forge) otherProduct() error {
	if len(f.config.compatible) == 0 {
		return format.Wrap(format.ErrNotApplicable, "configuration %s names no compatible board", f.config.name)
	}
	own := f.config.compatible[0]
	f.manifest.Device = &format.Device{Is: map[string]string{"compatible": own}}
	f.expect(format.LayerIdentity, format.ErrWrongDevice, "it is not made for %s", own)
	if f.means.Sister != nil {
		return f.genuine(f.means.Sister, func(img *Image) bool {
			c, err := img.chosen("")
			return err == nil && !strings.Contains("\x00"+strings.Join(c.compatible, "\x00")+"\x00", "\x00"+own+"\x00")
		}, "is for the same board")
	}
	how, key, err := f.byMaker()
	if err != nil {
		return err
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	o.config(f.config).SetText("compatible", "assay,other-product")
	f.changed("compatible of configuration %s is assay,other-product", f.config.name)
	return f.resign(o, how, key)
}

// otherHardware is genuine, and its kernel is for another architecture.
func (f *forge) otherHardware() error {
	n := f.target.node.Property("arch")
	arch, err := f.img.tree.Text(n)
	if err != nil || arch == "" {
		return format.Wrap(format.ErrNotApplicable, "%s names no architecture", f.target.node.Path())
	}
	f.manifest.Device = &format.Device{Is: map[string]string{"arch": arch}}
	f.expect(format.LayerIdentity, format.ErrWrongDevice, "%s is not made for %s", f.target.name, arch)
	how, key, err := f.byMaker()
	if err != nil {
		return err
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	other := "sandbox"
	if arch == other {
		other = "mips"
	}
	o.part(f.target).SetText("arch", other)
	f.changed("arch of %s is %s", f.target.node.Path(), other)
	return f.resign(o, how, key)
}

// genuine takes another image of the maker as it is.
func (f *forge) genuine(src *format.Source, fits func(*Image) bool, not string) error {
	img, err := OpenUnverified(*src)
	if err != nil {
		return format.Wrap(format.ErrNotApplicable, "the other image: %v", err)
	}
	if !fits(img) {
		return format.Wrap(format.ErrNotApplicable, "the other image %s", not)
	}
	f.changed("the maker's own other image, unchanged")
	f.out, err = src.Whole(maxTampered)
	return err
}
