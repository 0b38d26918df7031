package suit

import (
	"bytes"

	"github.com/fxamacker/cbor/v2"

	"assay/firmware/format"
)

func (w *work) truncatedHeader() error {
	b := w.d.bytes()
	for _, m := range w.img.members {
		if !m.isName && m.key == keyManifest {
			w.out = b[:m.body+m.size/2]
			return w.say("cut at offset %d, within the manifest", len(w.out))
		}
	}
	return format.Wrap(format.ErrNotApplicable, "no manifest")
}

func (w *work) trailing() error {
	w.out = append(w.d.bytes(), 0, 0, 0)
	return w.say("three zero bytes behind the envelope")
}

func (w *work) lengthLie() error {
	b := w.d.bytes()
	for _, m := range w.img.members {
		if !m.isName && m.key == keyManifest {
			w.out = append(bytes.Clone(b[:m.value]), writeHead(majorBytes, 1<<40)...)
			w.out = append(w.out, b[m.body:]...)
			return w.say("the manifest claims %d bytes", uint64(1<<40))
		}
	}
	return format.Wrap(format.ErrNotApplicable, "no manifest")
}

// duplicate puts another manifest before the genuine one: who takes the first to act on
// and the last to verify is lost.
func (w *work) duplicate() error {
	evil := w.d.clone()
	n := w.img.manifest.sequence + 1
	v := &work{img: w.img, d: evil, m: &format.Manifest{}}
	if err := v.setSequence(n); err != nil {
		return err
	}
	w.d.first = evil.manifest
	w.repaired("number of members")
	return w.say("a manifest of sequence number %d before the genuine one", n)
}

func (w *work) indefinite() error {
	b := w.d.bytes()
	at := int(w.img.headSize) - len(writeHead(majorMap, uint64(len(w.img.members))))
	w.out = append(bytes.Clone(b[:at]), majorMap<<5|31)
	w.out = append(append(w.out, b[w.img.headSize:]...), 0xff)
	return w.say("map of indefinite length")
}

func (w *work) nested() error {
	const depth = 10_000
	deep := append(bytes.Repeat([]byte{majorArray<<5 | 1}, depth), majorArray<<5)
	_ = w.say("an unprotected header of %d nested arrays", depth)
	w.repaired("lengths")
	return w.editBlock(func(parts []rawItem) error {
		// The encoder would look at it and refuse; it is written by hand.
		parts[1] = append(append(writeHead(majorMap, 1), encode(99)...), deep...)
		return nil
	})
}

func (w *work) unknownVersion() (err error) {
	w.d.manifest, err = rewrite(w.d.manifest, keyVersion, func([]byte) ([]byte, error) { return encode(2), nil })
	if err != nil {
		return err
	}
	_ = w.say("manifest version 2")
	return w.resign()
}

// oversize makes the payload grow, with size, digests and signature as they must be.
func (w *work) oversize() error {
	t, err := w.target()
	if err != nil {
		return err
	}
	size := int64(len(t.value))
	p := append(bytes.Clone(t.value), bytes.Repeat([]byte{0xff}, 4096)...)
	t.set(p)
	if err := w.repairImage(t, p); err != nil {
		return err
	}
	if err := w.setSize(uint64(size), uint64(len(p))); err != nil {
		return err
	}
	w.device = &format.Device{Size: size}
	_ = w.say("payload of %d bytes, filled up with 0xff", len(p))
	return w.resign()
}

// setSize changes the image size in the shared sequence.
func (w *work) setSize(old, fresh uint64) (err error) {
	inBytes := func(edit func([]byte) ([]byte, error)) func([]byte) ([]byte, error) {
		return func(raw []byte) ([]byte, error) {
			b, err := asBytes(raw)
			if err != nil {
				return nil, err
			}
			b, err = edit(b)
			return encode(b), err
		}
	}
	w.d.manifest, err = rewrite(w.d.manifest, keyCommon, inBytes(func(common []byte) ([]byte, error) {
		return rewrite(common, keyCommonShared, inBytes(func(seq []byte) ([]byte, error) {
			list, err := asList(seq)
			if err != nil {
				return nil, err
			}
			for i := 0; i+1 < len(list); i += 2 {
				if number, _ := asInt(list[i]); number != dirOverride {
					continue
				}
				p, err := rewrite(list[i+1], paramSize, func(v []byte) ([]byte, error) {
					if !bytes.Equal(v, encode(old)) {
						return v, nil
					}
					return encode(fresh), nil
				})
				if err == nil {
					list[i+1] = cbor.RawMessage(p)
				}
			}
			return encode(list), nil
		}))
	}))
	return err
}
