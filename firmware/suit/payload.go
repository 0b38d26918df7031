package suit

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"assay/firmware/format"
)

// digestOfMember hashes a payload once for each algorithm.
func (img *Image) digestOfMember(n int, k digestKind) (Digest, error) {
	key := fmt.Sprintf("%d %s", n, k.name)
	if d, ok := img.sums[key]; ok {
		return d, nil
	}
	m := img.members[n]
	value, err := sum(k, img.src.Section(m.body, m.size))
	if err != nil {
		return Digest{}, err
	}
	d := Digest{k.id, value}
	img.sums[key] = d
	return d, nil
}

// comparePayload holds an integrated payload against a digest and a size (0: any).
func (img *Image) comparePayload(n int, d Digest, size uint64) error {
	m := img.members[n]
	if size > 0 && size != uint64(m.size) {
		return format.Wrap(format.ErrBadHash, "%s has %d bytes, the manifest says %d", m.label(), m.size, size)
	}
	k, err := d.kind()
	if err != nil {
		return err
	}
	got, err := img.digestOfMember(n, k)
	if err != nil {
		return err
	}
	if !got.equal(d) {
		return format.Wrap(format.ErrBadHash, "%s hashes to %x, the manifest says %x", m.label(), got.Value, d.Value)
	}
	return nil
}

// compareDependency takes the digest of the whole envelope, or of the manifest in it,
// which is what a dependency's integrity is about (draft-ietf-suit-trust-domains).
func (img *Image) compareDependency(n int, d Digest, size uint64) error {
	sub, err := img.dependency(n)
	if err != nil {
		return err
	}
	img.needed[n] = true
	if sub.digest.equal(d) {
		if m := img.members[n]; size > 0 && size != uint64(m.size) {
			return format.Wrap(format.ErrBadHash, "%s has %d bytes, the manifest says %d", m.label(), m.size, size)
		}
		return nil // that the digest is the one of its manifest is for verify
	}
	return img.comparePayload(n, d, size)
}

// dependency opens an envelope among the payloads, once.
func (img *Image) dependency(n int) (*Image, error) {
	if sub, ok := img.subs[n]; ok {
		return sub.img, sub.err
	}
	m := img.members[n]
	var sub opened
	if img.depth+1 > maxDepth {
		sub.err = format.Malformed("%s is nested deeper than %d", m.label(), maxDepth)
	} else {
		sub.img, sub.err = open(format.NewSource(img.src.Section(m.body, m.size), m.size), nil, img.depth+1)
	}
	sub.err = inside(m.label(), sub.err)
	img.subs[n] = sub
	return sub.img, sub.err
}

// opened is a dependency, or why it is none.
type opened struct {
	img *Image
	err error
}

// An outcome is what came out of all ways through the sequences.
type outcome struct {
	done  []state
	died  []failure
	wants []want
	loose []string // URIs of what comes from elsewhere and is never compared
}

// follow runs the update procedure, then, as after a restart, the boot procedure.
func (m *machine) follow(installed bool) (outcome, error) {
	done, died, err := m.run(m.img.manifest.shared, []state{m.start()})
	if err != nil {
		return outcome{}, inside("shared sequence", err)
	}
	if m.device != nil {
		if err := m.device.checked(done, died, m.img.depth); err != nil {
			return outcome{}, err
		}
	}
	phases := [][]uint64{updateOrder(), bootOrder()}
	if installed {
		phases = phases[1:]
	}
	for i, phase := range phases {
		if i > 0 {
			if done, died, err = m.restart(done, died); err != nil {
				return outcome{}, err
			}
		}
		for _, key := range phase {
			ok, bad, err := m.run(m.img.manifest.sequences[key], fresh(done))
			if err != nil {
				return outcome{}, inside(memberName(key), err)
			}
			done, died = ok, append(died, bad...)
		}
	}
	loose := slices.DeleteFunc(m.remote, func(uri string) bool {
		return slices.ContainsFunc(m.wants, func(w want) bool { return w.uri == uri })
	})
	return outcome{done, died, m.wants, loose}, nil
}

// fresh begins a sequence with the first component.
func fresh(states []state) []state {
	for i := range states {
		states[i].index, states[i].soft = []int{0}, false
	}
	return states
}

// restart forgets the parameters and runs the shared sequence again.
func (m *machine) restart(done []state, died []failure) ([]state, []failure, error) {
	for i := range done {
		done[i].params = make([]parameters, m.img.manifest.indexes)
	}
	done, bad, err := m.run(m.img.manifest.shared, fresh(done))
	return done, append(died, bad...), err
}

// checkPayloads wants every payload to be compared with a digest that the manifest holds,
// on every way on which it is fetched.
func (img *Image) checkPayloads(installed bool) (outcome, error) {
	out, err := (&machine{img: img}).follow(installed)
	if err != nil {
		return out, err
	}
	for _, f := range out.died {
		if f.err != nil {
			return out, f.err
		}
	}
	used := map[int]bool{}
	for _, s := range out.done {
		for n := range s.fetched {
			used[n] = true
			if s.matched[n] {
				continue
			}
			if s.sealed[n] {
				return out, format.Wrap(format.ErrEncrypted, "the digest of %s is one of its plaintext", img.members[n].label())
			}
			return out, format.Wrap(format.ErrNotBound, "%s is fetched and never compared with a digest", img.members[n].label())
		}
	}
	for n, m := range img.members {
		if m.isName && !used[n] && !img.named(n) {
			return out, format.Wrap(format.ErrNotBound, "nothing in the manifest speaks of %s", m.label())
		}
	}
	return out, nil
}

// named holds for a payload that no sequence fetches here (they may have been severed) and
// that is still one whose digest the manifest holds.
func (img *Image) named(n int) bool {
	found := false
	img.manifest.overrides(func(p parameters) {
		d, ok, err := p.digest()
		if !ok || err != nil || found {
			return
		}
		size, _, _ := p.number(paramSize)
		found = img.comparePayload(n, d, size) == nil || len(img.manifest.dependency) > 0 && img.compareDependency(n, d, size) == nil
	})
	return found
}

// checkArtifact holds a payload that lies beside the envelope against what is fetched from elsewhere.
func (img *Image) checkArtifact(wants []want) (want, error) {
	var first error
	for _, w := range wants {
		k, err := w.digest.kind()
		if err == nil && w.size > 0 && w.size != uint64(img.artifact.Size()) {
			err = format.Wrap(format.ErrBadHash, "the payload of %q has %d bytes, the manifest says %d", w.uri, img.artifact.Size(), w.size)
		}
		if err == nil {
			var got []byte
			if got, err = sum(k, img.artifact.Section(0, img.artifact.Size())); err == nil && !bytes.Equal(got, w.digest.Value) {
				err = format.Wrap(format.ErrBadHash, "the payload of %q hashes to %x, the manifest says %x", w.uri, got, w.digest.Value)
			}
		}
		if err == nil {
			return w, nil
		}
		first = cmp.Or(first, err)
	}
	if first == nil {
		first = format.Wrap(format.ErrNotBound, "a payload was given, and the manifest fetches none from elsewhere")
	}
	return want{}, first
}
