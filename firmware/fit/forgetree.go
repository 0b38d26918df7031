package fit

import (
	"bytes"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// duplicateSignature names a second node like the first: libfdt finds one, a walk the other.
func (f *forge) duplicateSignature() error {
	if f.byImage {
		return format.Wrap(format.ErrNotApplicable, "where images are signed, a node more is not covered, and U-Boot takes any signature that fits")
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	s, err := f.signature()
	if err != nil {
		return err
	}
	n := o.config(f.config)
	second := n.Child(s.node.Name).Clone()
	value := bytes.Clone(s.value)
	value[len(value)/2] ^= 1
	second.Set("value", value)
	for i, c := range n.Nodes {
		if c.Name == s.node.Name {
			n.Nodes = append(n.Nodes[:i:i], append([]*fdt.Item{second}, n.Nodes[i:]...)...)
			break
		}
	}
	f.changed("a second node %s in front, with another value", s.node.Path())
	f.repaired("size of the tree and its blocks")
	f.expect(format.LayerStructure, format.ErrMalformed, "two nodes of one name")
	return f.close(o)
}

// duplicateEntry gives the kernel a second description.
func (f *forge) duplicateEntry() error {
	if f.byImage {
		return format.Wrap(format.ErrNotApplicable, "where images are signed, their properties are not covered, and U-Boot takes them as they are")
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	n := o.part(f.target)
	n.SetText("description", "the one")
	n.Props = append(n.Props, fdt.Value{Name: "description", Data: []byte("the other\x00")})
	f.changed("property description of %s twice", f.target.node.Path())
	f.repaired("size of the tree and its blocks")
	f.expect(format.LayerStructure, format.ErrMalformed, "two properties of one name")
	return f.close(o)
}

// otherAlgorithm claims an algorithm of another kind than the key is.
func (f *forge) otherAlgorithm() error {
	o, err := f.open()
	if err != nil {
		return err
	}
	s, err := f.signature()
	if err != nil {
		return err
	}
	digest, kind := s.algorithms()
	other := "ecdsa256"
	if kind == other {
		other = "rsa2048"
	}
	parts := f.config.parts
	if !f.byImage {
		o.config(f.config).Child(s.node.Name).SetText("algo", digest+","+other)
		parts = nil
	}
	for _, p := range parts {
		for _, s := range p.signatures {
			o.part(p).Child(s.node.Name).SetText("algo", digest+","+other)
		}
	}
	f.changed("algo of %s is %s,%s", s.node.Path(), digest, other)
	f.repaired("size of the tree and its blocks")
	f.expect(format.LayerTrust, format.ErrAlgorithm, "the trusted key decides the algorithm")
	return f.close(o)
}

// mix puts the kernel of an older release, with its hash, into this one.
func (f *forge) mix() error {
	if f.byImage {
		return format.Wrap(format.ErrNotApplicable, "where images are signed one by one, their mixture is taken by design")
	}
	if f.means.Older == nil {
		return format.Wrap(format.ErrNotApplicable, "it needs an older image of the maker")
	}
	other, err := OpenUnverified(*f.means.Older)
	if err != nil {
		return format.Wrap(format.ErrNotApplicable, "the older image: %v", err)
	}
	p := other.byName[f.target.name]
	if p == nil {
		return format.Wrap(format.ErrNotApplicable, "the older image has no image %s", f.target.name)
	}
	data, err := f.means.Older.Bytes(p.at, p.size)
	if err != nil {
		return err
	}
	if bytes.Equal(data, f.dataOf(f.target)) {
		return format.Wrap(format.ErrNotApplicable, "%s is the same in both", f.target.name)
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	f.changed("data and hash of %s are those of the older image", f.target.node.Path())
	f.repaired("hash nodes of %s, size of the tree and its blocks", f.target.node.Path())
	f.expect(format.LayerSignature, format.ErrBadSignature, "the configuration's signature covers the hashes of all its images")
	o.free(f.target)
	if err := o.setData(o.part(f.target), data); err != nil {
		return err
	}
	return f.close(o)
}

// fakeRoot puts another tree in front of the signed one. libfdt takes the first node for
// the root whatever its name; the signed regions were found by their paths.
func (f *forge) fakeRoot() error {
	o, err := f.open()
	if err != nil {
		return err
	}
	fake := o.Root.Clone()
	fake.Name = "f@keroot"
	evil := (&fdt.Draft{Root: fake}).Find(imagesPath).Child(f.target.name)
	if err := o.setData(evil, f.evil()); err != nil {
		return err
	}
	b, err := o.EncodeBehind(fake)
	if err != nil {
		return err
	}
	if o.tail != nil {
		b = append(append(b, make([]byte, -len(b)&3)...), o.tail...)
	}
	f.out = b
	f.changed("a root node f@keroot in front of the root, with other data in %s", f.target.name)
	f.repaired("hash nodes of the changed image, size of the tree and its blocks")
	f.expect(format.LayerStructure, format.ErrMalformed, "a tree has one root, and it has no name")
	f.manifest.Classic = "CVE-2021-27097"
	return nil
}

// clone copies the signed nodes to /images/images, points hashed-nodes there and changes
// the real ones. The empty node behind the copies keeps the end of their parent out of
// the regions, so that the bytes hashed by that list are the ones that were signed.
func (f *forge) clone() error {
	if f.byImage {
		return format.Wrap(format.ErrNotApplicable, "signatures of images list no nodes")
	}
	o, err := f.open()
	if err != nil {
		return err
	}
	s, err := f.signature()
	if err != nil {
		return err
	}
	claimed := splitText(o.config(f.config).Child(s.node.Name).Get(nodesProp))
	if len(claimed) < 2 {
		return format.Wrap(format.ErrNotApplicable, "the signature has no list of nodes to point elsewhere")
	}
	images := o.Find(imagesPath)
	if images.Child("images") != nil {
		return format.Wrap(format.ErrNotApplicable, "there is an image called images")
	}
	copies := &fdt.Item{Name: "images"}
	copies.Set(dataProp, []byte("copies"))
	if f.target.external { // it is the copies that claim the old data
		copies.Unset(dataProp)
		for _, name := range []string{sizeProp, offsetProp, posProp} {
			if v := o.part(f.target).Get(name); v != nil {
				copies.Set(name, v)
			}
		}
	}
	for _, n := range images.Nodes {
		copies.Nodes = append(copies.Nodes, n.Clone())
	}
	copies.Add("x")
	if err := o.setData(o.part(f.target), f.evil()); err != nil {
		return err
	}
	images.Nodes = append(images.Nodes, copies)
	for i, path := range claimed {
		if len(path) > len(imagesPath) && path[:len(imagesPath)+1] == imagesPath+"/" {
			claimed[i] = imagesPath + path
		}
	}
	o.config(f.config).Child(s.node.Name).SetText(nodesProp, claimed...)
	f.changed("images copied to /images/images, hashed-nodes of %s names the copies, other data in %s", s.node.Path(), f.target.node.Path())
	f.repaired("hash nodes of the changed image, size of the tree and its blocks")
	f.expect(format.LayerSignature, format.ErrNotBound, "what a signature covers follows from the configuration, not from hashed-nodes")
	f.manifest.Classic = "CVE-2026-46728"
	return f.close(o)
}

// unitAddress adds an image that libfdt finds under the name of the real one.
func (f *forge) unitAddress() error {
	o, err := f.open()
	if err != nil {
		return err
	}
	images := o.Find(imagesPath)
	evil := o.part(f.target).Clone()
	evil.Name = f.target.name + "@1"
	if err := o.setData(evil, f.evil()); err != nil {
		return err
	}
	images.Nodes = append([]*fdt.Item{evil}, images.Nodes...)
	f.changed("image %s@1 with other data in front of %s", f.target.node.Path(), f.target.name)
	f.repaired("hash nodes of the added image, size of the tree and its blocks")
	f.expect(format.LayerStructure, format.ErrMalformed, "a name with a unit address may be taken for the one without")
	f.manifest.Classic = "CVE-2021-27138"
	return f.close(o)
}

// unsignedDefault adds an unsigned configuration with another kernel and makes it the default.
func (f *forge) unsignedDefault() error {
	const name = "conf-unsigned"
	o, err := f.open()
	if err != nil {
		return err
	}
	evil := o.part(f.target).Clone()
	evil.Name = f.target.name + "-unsigned"
	dropSignatures(evil)
	if err := o.setData(evil, f.evil()); err != nil {
		return err
	}
	images, configs := o.Find(imagesPath), o.Find(configsPath)
	images.Nodes = append(images.Nodes, evil)
	added := o.config(f.config).Clone()
	added.Name = name
	dropSignatures(added)
	for i, v := range added.Props {
		if namesNoImage(v.Name) {
			continue
		}
		list := splitText(v.Data)
		for j := range list {
			if list[j] == f.target.name {
				list[j] = evil.Name
				added.SetText(added.Props[i].Name, list...)
			}
		}
	}
	configs.Nodes = append(configs.Nodes, added)
	configs.SetText(defaultProp, name)
	f.changed("configuration %s without a signature, with other data in %s, is the default", name, evil.Name)
	f.repaired("hash nodes of the added image, size of the tree and its blocks")
	f.expect(format.LayerSignature, format.ErrUnsigned, "nothing covers which configuration is the default: an unsigned one is refused when it is booted")
	f.manifest.Classic = "CVE-2020-10648"
	return f.close(o)
}
