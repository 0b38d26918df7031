package suit

import (
	"bytes"
	"fmt"
	"slices"

	"assay/firmware/format"
)

// A target is the payload that a variant changes: the biggest of the envelope that is no
// dependency, or the one that lies beside it.
type target struct {
	name  string
	value []byte
	set   func([]byte)
	old   func(digestKind) ([]byte, error)
}

func (w *work) target() (target, error) {
	member, place, at := -1, -1, -1
	for n, m := range w.img.members {
		if !m.isName && (m.key == keyWrapper || m.key == keyManifest) {
			continue
		}
		at++
		if !m.isName || m.size == 0 || w.isDependency(n) || member >= 0 && m.size <= w.img.members[member].size {
			continue
		}
		member, place = n, at
	}
	if member < 0 {
		return w.beside()
	}
	return target{
		name: w.img.members[member].name, value: w.d.members[place].value,
		set: func(b []byte) { w.d.members[place].value = b },
		old: func(k digestKind) ([]byte, error) {
			d, err := w.img.digestOfMember(member, k)
			return d.Value, err
		},
	}, nil
}

func (w *work) beside() (target, error) {
	if w.img.artifact == nil || w.img.artifact.Size() == 0 {
		return target{}, format.Wrap(format.ErrNotApplicable, "the envelope carries no payload, and none lies beside it")
	}
	b, err := w.img.artifact.Whole(1 << 30)
	return target{
		value: b,
		set:   func(b []byte) { w.artifact = b },
		old:   func(k digestKind) ([]byte, error) { return sum(k, w.img.artifact.Section(0, w.img.artifact.Size())) },
	}, err
}

func (w *work) isDependency(n int) bool {
	if len(w.img.manifest.dependency) == 0 {
		return false
	}
	return w.img.isEnvelope(n)
}

func (w *work) tamperedPlain() error {
	t, err := w.target()
	if err != nil {
		return err
	}
	w.flip(t)
	return nil
}

func (w *work) flip(t target) []byte {
	at := format.Harmless(t.value)
	b := bytes.Clone(t.value)
	b[at] ^= 1
	t.set(b)
	_ = w.say("lowest bit of byte %d of the payload", at)
	return b
}

func (w *work) tampered() error {
	t, err := w.target()
	if err != nil {
		return err
	}
	if err := w.repairImage(t, w.flip(t)); err != nil {
		return err
	}
	return w.redigest()
}

// repairImage writes the digest of the payload as it is now wherever the old one stands, in
// severed members too, whose digests it repairs in turn.
func (w *work) repairImage(t target, now []byte) error {
	found := false
	for _, k := range digestKinds() {
		old, err := t.old(k)
		if err != nil {
			return err
		}
		h := k.new()
		h.Write(now)
		found = w.substitute(old, h.Sum(nil)) || found
	}
	if !found {
		return format.Wrap(format.ErrNotApplicable, "the manifest holds no digest of the payload to repair")
	}
	w.repaired("suit-parameter-image-digest")
	return nil
}

// substitute replaces bytes of the same length in the manifest and beside it.
func (w *work) substitute(old, fresh []byte) bool {
	found := bytes.Contains(w.d.manifest, old)
	w.d.manifest = bytes.ReplaceAll(w.d.manifest, old, fresh)
	for i, p := range w.d.members {
		if majorOf(p.key) != majorUint || !bytes.Contains(p.value, old) {
			continue
		}
		found = true
		before := encode(p.value)
		w.d.members[i].value = bytes.ReplaceAll(p.value, old, fresh)
		w.reseal(before, encode(w.d.members[i].value))
	}
	return found
}

// reseal repairs the digest of a severed member.
func (w *work) reseal(before, after []byte) {
	for _, k := range digestKinds() {
		was, err := digestOf(k.id, before)
		if err != nil {
			continue
		}
		is, _ := digestOf(k.id, after)
		w.d.manifest = bytes.ReplaceAll(w.d.manifest, was.encode(), is.encode())
	}
}

// setSequence writes another sequence number.
func (w *work) setSequence(n uint64) (err error) {
	w.d.manifest, err = rewrite(w.d.manifest, keySequence, func([]byte) ([]byte, error) { return encode(n), nil })
	return err
}

func (w *work) headerFlip() error {
	n := w.img.manifest.sequence ^ 1
	if err := w.setSequence(n); err != nil {
		return err
	}
	_ = w.say("sequence number %d is %d", w.img.manifest.sequence, n)
	return w.redigest()
}

func (w *work) digestUnchecked() error {
	n := w.img.manifest.sequence + 1
	if err := w.setSequence(n); err != nil {
		return err
	}
	w.repaired("lengths")
	return w.say("sequence number %d is %d, digest and block are those of the genuine manifest", w.img.manifest.sequence, n)
}

// severed finds a severable command sequence beside the manifest.
func (w *work) severed() (int, uint64, error) {
	for i, p := range w.d.members {
		key, err := asUint(p.key)
		if err == nil && isSequence(key) {
			return i, key, nil
		}
	}
	return 0, 0, format.Wrap(format.ErrNotApplicable, "no command sequence stands beside the manifest")
}

func (w *work) severedReplaced() error {
	i, key, err := w.severed()
	if err != nil {
		return err
	}
	w.d.members[i].value = encode([]any{dirIndex, 0, dirOverride, entry{paramURI: "http://stranger.example/image"}, dirFetch, 2})
	w.repaired("lengths")
	return w.say("%s fetches from somewhere else and compares nothing", memberName(key))
}

func (w *work) severedMissing() error {
	i, key, err := w.severed()
	what := memberName(key)
	if err != nil {
		t, err := w.target()
		if err != nil || t.name == "" {
			return format.Wrap(format.ErrNotApplicable, "nothing beside the manifest is needed to install it")
		}
		what = "integrated payload " + t.name
		i = slices.IndexFunc(w.d.members, func(p part) bool { return bytes.Equal(p.key, encode(t.name)) })
	}
	w.d.members = slices.Delete(w.d.members, i, i+1)
	w.repaired("number of members")
	return w.say("%s removed", what)
}

func (w *work) truncatedPayload() error {
	t, err := w.target()
	if err != nil {
		return err
	}
	cut := min(len(t.value), 10)
	t.set(t.value[:len(t.value)-cut])
	if t.name != "" {
		w.repaired("length of the member")
	}
	return w.say("payload cut by %d bytes", cut)
}

// mixAndMatch puts the payload of another release under this manifest.
func (w *work) mixAndMatch() error {
	source := w.means.Older
	if source == nil {
		source = w.means.Sister
	}
	if source == nil {
		return format.Wrap(format.ErrNotApplicable, "needs another genuine image")
	}
	t, err := w.target()
	if err != nil {
		return err
	}
	other, err := OpenUnverified(format.Input{Source: *source})
	if err != nil {
		return err
	}
	from, ok := other.payload(t.name)
	if !ok {
		return format.Wrap(format.ErrNotApplicable, "the other image carries no payload %q", t.name)
	}
	m := other.members[from]
	b, err := other.src.Bytes(m.body, m.size)
	if err != nil {
		return err
	}
	t.set(b)
	w.repaired("length of the member")
	return w.say("payload is the one of sequence number %d", other.manifest.sequence)
}

func (w *work) swapped() error {
	genuine := w.d.bytes()
	t, err := w.target()
	if err != nil {
		return err
	}
	if t.name == "" {
		return format.Wrap(format.ErrNotApplicable, "the payload is not in the envelope, where it could be swapped with it")
	}
	w.flip(t)
	w.files = map[string][]byte{format.FileFirst: genuine, format.FileSecond: w.d.bytes()}
	return nil
}

func (w *work) older() error {
	if w.means.Older != nil && w.img.artifact == nil {
		b, err := w.means.Older.Whole(1 << 30)
		if err != nil {
			return err
		}
		old, err := OpenUnverified(format.Input{Source: format.FromBytes(b)})
		if err != nil {
			return err
		}
		if old.manifest.sequence >= w.img.manifest.sequence {
			return format.Wrap(format.ErrNotApplicable, "the older image has sequence number %d", old.manifest.sequence)
		}
		w.out = b
		_ = w.say("the maker's own image of sequence number %d", old.manifest.sequence)
	} else {
		if w.img.manifest.sequence == 0 {
			return format.Wrap(format.ErrNotApplicable, "no sequence number is lower than 0")
		}
		if err := w.setSequence(w.img.manifest.sequence - 1); err != nil {
			return err
		}
		_ = w.say("sequence number is one lower")
		if err := w.resign(); err != nil {
			return err
		}
	}
	w.device = &format.Device{Counter: new(w.img.manifest.sequence)}
	return nil
}

func (w *work) otherProduct() error {
	if w.means.Sister == nil || w.img.artifact != nil {
		return w.otherIdentifier(paramVendor, isVendor)
	}
	b, err := w.means.Sister.Whole(1 << 30)
	if err != nil {
		return err
	}
	w.out = b
	if w.device, err = w.thisDevice(); err != nil {
		return err
	}
	return w.say("the maker's own image of another product")
}

func (w *work) otherHardware() error { return w.otherIdentifier(paramClass, isClass) }

func (w *work) otherIdentifier(param int64, name string) error {
	var err error
	if w.device, err = w.thisDevice(); err != nil {
		return err
	}
	var id []byte
	w.img.manifest.overrides(func(p parameters) {
		if id == nil {
			id = p.bytes(param)
		}
	})
	other := bytes.Clone(id)
	for i := range other {
		other[i] ^= 0x55
	}
	if len(id) == 0 || !w.substitute(id, other) {
		return format.Wrap(format.ErrNotApplicable, "the manifest names no %s", name)
	}
	_ = w.say("%s is another", name)
	return w.resign()
}

// thisDevice is one that the genuine image is for.
func (w *work) thisDevice() (*format.Device, error) {
	d := &format.Device{Is: map[string]string{}}
	w.img.manifest.overrides(func(p parameters) {
		for param, name := range map[int64]string{paramVendor: isVendor, paramClass: isClass} {
			if id := p.bytes(param); id != nil && d.Is[name] == "" {
				d.Is[name] = fmt.Sprintf("%x", id)
			}
		}
	})
	if err := w.img.Check(*d); err != nil || len(d.Is) < 2 {
		return nil, format.Wrap(format.ErrNotApplicable, "the manifest does not ask for one vendor and one class")
	}
	return d, nil
}
