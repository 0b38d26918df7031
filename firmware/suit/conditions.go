package suit

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"assay/firmware/format"
)

// condition evaluates one; what is not known here turns out either way.
func (m *machine) condition(number int64, i int, s state) ([]state, []failure, error) {
	fail := func(err error) ([]state, []failure, error) { return nil, []failure{failureOf(s, err)}, nil }
	pass := func() ([]state, []failure, error) { return []state{s}, nil, nil }
	either := func() ([]state, []failure, error) { return []state{s}, []failure{failureOf(s.clone(), nil)}, nil }
	switch number {
	case condVendor, condClass, condDevice:
		s.seen[number] = true
		if m.device == nil {
			return either()
		}
		known, err := m.device.matches(number, s.params[i], m.img.depth)
		if err != nil {
			return fail(err)
		}
		if known {
			return pass()
		}
		return either()
	case condAbort:
		return fail(nil)
	case condSlot:
		return m.slotCondition(i, s)
	case condImage, condContent, condDependency:
		known, err := m.compare(number, i, &s)
		if err != nil {
			return fail(err)
		}
		if known {
			return pass()
		}
		return either()
	case condIsDependency:
		if _, ok := m.img.manifest.dependency[i]; ok {
			return pass()
		}
		return fail(nil)
	}
	return either()
}

func (m *machine) slotCondition(i int, s state) ([]state, []failure, error) {
	v, ok, err := s.params[i].number(paramSlot)
	if err != nil {
		return nil, nil, err
	}
	at := s.slots[i]
	switch {
	case !ok:
		return nil, []failure{failureOf(s, format.Malformed("a slot is asked for and none is named"))}, nil
	case at.known && at.value == v:
		return []state{s}, nil, nil
	case at.known, slices.Contains(at.not, v):
		return nil, []failure{failureOf(s, nil)}, nil
	}
	other := s.clone()
	other.slots[i].not = append(slices.Clone(at.not), v)
	s.slots[i] = slot{known: true, value: v}
	return []state{s}, []failure{failureOf(other, nil)}, nil
}

// compare holds what a component contains against its digest; known is false where only
// the device can tell.
func (m *machine) compare(number int64, i int, s *state) (known bool, err error) {
	p, c := s.params[i], s.content[i]
	if number == condContent {
		want, ok := p[paramContent]
		if !ok || c.kind == contentUnknown || c.kind == contentRemote {
			return false, nil
		}
		body, err := asBytes(want)
		if err != nil {
			return false, err
		}
		if m.hashed += len(body); m.hashed > maxHashed {
			return false, tooMuch()
		}
		sum := sha256.Sum256(body)
		return m.same(c, Digest{SHA256, sum[:]}, uint64(len(body)), i, s)
	}
	d, ok, err := p.digest()
	if err != nil {
		return false, err
	}
	if !ok {
		if m.img.depth > 0 {
			return false, nil // the manifest that it depends on may have set it
		}
		return false, format.Wrap(format.ErrNotBound, "component %d is to be compared with a digest and none is given", i)
	}
	if _, err := d.kind(); err != nil {
		return false, err
	}
	size, _, err := p.number(paramSize)
	if err != nil {
		return false, err
	}
	if c.kind == contentRemote {
		w := want{c.uri, d, size}
		if !slices.ContainsFunc(m.wants, func(o want) bool { return o.uri == w.uri && o.digest.equal(d) && o.size == size }) {
			m.wants = append(m.wants, w)
		}
	}
	return m.same(c, d, size, i, s)
}

func (m *machine) same(c content, d Digest, size uint64, i int, s *state) (known bool, err error) {
	switch c.kind {
	case contentInline:
		if m.hashed += len(c.bytes); m.hashed > maxHashed {
			return false, tooMuch()
		}
		ok, err := d.fits(bytes.NewReader(c.bytes))
		if err == nil && (!ok || size > 0 && size != uint64(len(c.bytes))) {
			err = format.Wrap(format.ErrBadHash, "what the manifest writes to component %d is not what it compares it with", i)
		}
		return true, err
	case contentMember:
		if _, ok := m.img.manifest.dependency[i]; ok {
			err = m.img.compareDependency(c.member, d, size)
		} else {
			err = m.img.comparePayload(c.member, d, size)
		}
		if err == nil {
			s.matched[c.member] = true
		}
		return true, err
	}
	return false, nil
}

func tooMuch() error {
	return format.Malformed("the manifest compares more than %d bytes of its own", maxHashed)
}
