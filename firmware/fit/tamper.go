package fit

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"assay/firmware/format"
)

// A recipe makes one variant of an image.
type recipe struct {
	variant string
	make    func(*forge) error
}

// recipes lists what can be made, in the order of format.Variants.
func recipes() []recipe {
	return []recipe{
		{format.Tampered, (*forge).rehash},
		{format.TamperedPlain, (*forge).flipData},
		{format.HeaderFlip, (*forge).flipProperty},
		{format.SignatureFlip, (*forge).flipSignature},
		{format.Unsigned, (*forge).strip},
		{format.DuplicateSignature, (*forge).duplicateSignature},
		{format.WrongKey, (*forge).wrongKey},
		{format.WrongKeyForged, (*forge).wrongKeyForged},
		{format.AlgorithmConfusion, (*forge).otherAlgorithm},
		{format.WeakAlgorithm, (*forge).weakHash},
		{format.Older, (*forge).older},
		{format.OtherProduct, (*forge).otherProduct},
		{format.OtherHardware, (*forge).otherHardware},
		{format.TruncatedHeader, (*forge).cutHeader},
		{format.TruncatedPayload, (*forge).cutData},
		{format.TruncatedSignature, (*forge).cutSignature},
		{format.Empty, (*forge).empty},
		{format.Oversize, (*forge).oversize},
		{format.TrailingData, (*forge).trailing},
		{format.LengthLie, (*forge).lengthLie},
		{format.DuplicateEntry, (*forge).duplicateEntry},
		{format.MixAndMatch, (*forge).mix},
		{format.FakeRoot, (*forge).fakeRoot},
		{format.NodeClone, (*forge).clone},
		{format.UnitAddress, (*forge).unitAddress},
		{format.UnsignedDefault, (*forge).unsignedDefault},
		{format.Swapped, (*forge).swapped},
	}
}

func variants() (names []string) {
	for _, r := range recipes() {
		names = append(names, r.variant)
	}
	return names
}

// maxTampered is the largest image that is changed in memory.
const maxTampered = 512 << 20

// Tamper makes a variant of the image that a good device refuses. It attacks the
// configuration that is booted by default, in the way in which it is signed.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	f := &forge{img: img, means: means, manifest: format.Manifest{Format: Name, Variant: variant}}
	if err := f.run(variant); err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of a U-Boot FIT: %w", variant, err)
	}
	return format.Variant{Bytes: f.out, Files: f.files, Manifest: f.manifest}, nil
}

// A forge makes one variant.
type forge struct {
	img      *Image
	means    format.Means
	config   *config
	byImage  bool // it is the images that are signed
	target   *part
	raw      []byte // a copy of the image, to be changed
	out      []byte
	files    map[string][]byte
	manifest format.Manifest
}

func (f *forge) run(variant string) error {
	for _, r := range recipes() {
		if r.variant == variant {
			if err := f.prepare(); err != nil {
				return err
			}
			return r.make(f)
		}
	}
	return format.ErrUnknownVariant
}

func (f *forge) prepare() error {
	if f.img.fault != nil {
		return format.Wrap(format.ErrNotApplicable, "no device may take the image itself: %v", f.img.fault)
	}
	var err error
	if f.config, err = f.img.chosen(""); err != nil {
		return format.Wrap(format.ErrNotApplicable, "no configuration to attack: %v", err)
	}
	if f.byImage = len(f.config.signatures) == 0; f.byImage {
		for _, p := range f.config.parts {
			if len(p.signatures) == 0 {
				return format.Wrap(format.ErrNotApplicable, "neither configuration %s nor image %s is signed", f.config.name, p.name)
			}
		}
	}
	for _, p := range f.config.parts {
		if p.size > 0 && (f.target == nil || p.size > f.target.size) {
			f.target = p // the kernel is the largest
		}
	}
	if f.target == nil {
		return format.Wrap(format.ErrNotApplicable, "configuration %s uses no image with data", f.config.name)
	}
	f.raw, err = f.img.src.Whole(maxTampered)
	return err
}

// expect fills in where a good device refuses the variant and why.
func (f *forge) expect(layer format.Layer, reason error, why string, args ...any) {
	f.manifest.Layer, f.manifest.Reason, f.manifest.Expected = layer, reason, fmt.Sprintf(why, args...)
}

func (f *forge) changed(what string, args ...any) {
	f.manifest.Changed = append(f.manifest.Changed, fmt.Sprintf(what, args...))
}

func (f *forge) repaired(what string, args ...any) {
	f.manifest.Repaired = append(f.manifest.Repaired, fmt.Sprintf(what, args...))
}

// signature is the first that counts: of the configuration, or of the target.
func (f *forge) signature() (signature, error) {
	list := f.config.signatures
	if f.byImage {
		list = f.target.signatures
	}
	for _, s := range list {
		if len(s.value) > 0 {
			return s, nil
		}
	}
	return signature{}, format.Wrap(format.ErrNotApplicable, "no signature has a value")
}

// quiet is the byte whose change is least likely to stop a device that takes the variant
// after all: amid filling if there is any, else in the middle.
func quiet(data []byte) int {
	const worth = 16
	for _, fill := range []byte{0, 0xff} {
		if i := bytes.Index(data, bytes.Repeat([]byte{fill}, worth)); i >= 0 {
			return i + worth/2
		}
	}
	return len(data) / 2
}

func (f *forge) flipData() error {
	p := f.target
	at := p.at + int64(quiet(f.raw[p.at:p.at+p.size]))
	f.raw[at] ^= 1
	f.out = f.raw
	f.changed("lowest bit of the byte at offset %d, in the data of %s", at, p.node.Path())
	if f.byImage {
		f.expect(format.LayerSignature, format.ErrBadSignature, "the signature of image %s does not fit its data", p.name)
		return nil
	}
	f.expect(format.LayerPayload, format.ErrBadHash, "the hash node of image %s does not fit its data", p.name)
	return nil
}

func (f *forge) rehash() error {
	if err := f.flipData(); err != nil {
		return err
	}
	if err := f.repairHashes(f.target); err != nil {
		return err
	}
	f.expect(format.LayerSignature, format.ErrBadSignature, "every hash fits, the signature does not")
	return nil
}

// repairHashes writes the hashes of the changed data in raw into its hash nodes.
func (f *forge) repairHashes(p *part) error {
	for _, h := range p.hashes {
		w := newHash(h.algo)
		if w == nil || h.ignored {
			continue
		}
		w.Write(f.raw[p.at : p.at+p.size])
		value := h.node.Property("value")
		if value == nil || value.Size != int64(w.Size()) {
			return format.Wrap(format.ErrNotApplicable, "%s has no value to repair", h.node.Path())
		}
		copy(f.raw[value.Value:], w.Sum(nil))
		f.repaired("%s value at offset %d", h.node.Path(), value.Value)
	}
	return nil
}

// flipProperty changes where the kernel is loaded to, or what else is covered beside the data.
func (f *forge) flipProperty() error {
	if f.byImage {
		return format.Wrap(format.ErrNotApplicable, "signatures of images cover their data and nothing else")
	}
	for _, p := range append(f.target.node.Properties, f.img.tree.Root.Properties...) {
		if (p.Name == "load" || p.Name == "timestamp") && p.Size >= 4 {
			at := p.Value + p.Size - 2
			f.raw[at] ^= 1
			f.out = f.raw
			f.changed("lowest bit of the byte at offset %d, in %s of %s", at, p.Name, p.Node.Path())
			f.expect(format.LayerSignature, format.ErrBadSignature, "the configuration's signature covers %s", p.Name)
			return nil
		}
	}
	return format.Wrap(format.ErrNotApplicable, "no load address and no timestamp to change")
}

func (f *forge) flipSignature() error {
	s, err := f.signature()
	if err != nil {
		return err
	}
	at := s.node.Property("value").Value + int64(len(s.value)/2)
	f.raw[at] ^= 1
	f.out = f.raw
	f.changed("lowest bit of the byte at offset %d, in value of %s", at, s.node.Path())
	f.expect(format.LayerSignature, format.ErrBadSignature, "the signature does not fit")
	return nil
}

func (f *forge) cutHeader() error {
	f.out = f.raw[:20]
	f.changed("cut off behind byte 20, inside the header of the tree")
	f.expect(format.LayerStructure, format.ErrMalformed, "the header of the tree is not complete")
	return nil
}

func (f *forge) cutData() error {
	at := f.target.at + f.target.size/2
	f.out = f.raw[:at]
	f.changed("cut off at offset %d, inside the data of %s", at, f.target.node.Path())
	f.expect(format.LayerStructure, format.ErrMalformed, "the tree or the data ends behind the file")
	return nil
}

func (f *forge) cutSignature() error {
	s, err := f.signature()
	if err != nil {
		return err
	}
	at := s.node.Property("value").Value + int64(len(s.value)/2)
	f.out = f.raw[:at]
	f.changed("cut off at offset %d, inside value of %s", at, s.node.Path())
	f.expect(format.LayerStructure, format.ErrMalformed, "the tree ends behind the file")
	return nil
}

func (f *forge) empty() error {
	f.out = []byte{}
	f.changed("everything taken away")
	f.expect(format.LayerStructure, format.ErrUnknownFormat, "no bytes are no device tree")
	return nil
}

func (f *forge) trailing() error {
	extra := []byte("bytes that no image of the tree claims")
	f.out = append(f.raw, extra...)
	f.changed("%d bytes appended at offset %d", len(extra), len(f.raw))
	f.expect(format.LayerStructure, format.ErrTrailing, "nothing covers bytes behind the last image; U-Boot itself does not look at them, so a device may take the rest as it is")
	return nil
}

// oversize fills up with erased flash, which is legal and too much.
func (f *forge) oversize() error {
	was := int64(len(f.raw))
	const extra = 1 << 20
	f.out = append(f.raw, bytes.Repeat([]byte{0xff}, extra)...)
	f.changed("%d bytes of erased flash appended at offset %d", extra, was)
	f.expect(format.LayerResources, format.ErrTooLarge, "a slot of %d bytes does not hold it", was)
	f.manifest.Device = &format.Device{Size: was}
	return nil
}

// lengthLie claims a string block, or data, that reaches behind the file.
func (f *forge) lengthLie() error {
	const lie = 0x7fffffff
	put := func(at int64) { binary.BigEndian.PutUint32(f.raw[at:], lie) }
	f.out = f.raw
	f.expect(format.LayerStructure, format.ErrMalformed, "it reaches behind the file")
	if f.target.external {
		at := f.target.node.Property(sizeProp).Value
		put(at)
		f.changed("%s of %s at offset %d is 0x%x", sizeProp, f.target.node.Path(), at, lie)
		f.manifest.Classic = "u-boot 69f6272b"
		return nil
	}
	s, err := f.signature()
	if err != nil {
		return err
	}
	if p := s.node.Property(stringsProp); p != nil {
		put(p.Value + 4)
		f.changed("second cell of %s of %s at offset %d is 0x%x", stringsProp, s.node.Path(), p.Value+4, lie)
		f.manifest.Classic = "u-boot e7332861"
		return nil
	}
	at := f.target.node.Property(dataProp).At + 4
	put(at)
	f.changed("length of the data of %s at offset %d is 0x%x", f.target.node.Path(), at, lie)
	return nil
}

func (f *forge) swapped() error {
	f.files = map[string][]byte{format.FileFirst: bytes.Clone(f.raw)}
	if err := f.rehash(); err != nil {
		return err
	}
	f.files[format.FileSecond], f.out = f.out, nil
	f.expect(format.LayerSignature, format.ErrBadSignature, "what is checked must be what is used: the second image is refused wherever it is read")
	f.manifest.Classic = "time of check, time of use"
	return nil
}
