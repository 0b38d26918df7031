package cms

import (
	"bytes"
	"hash"
	"io"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// keepLimit is how much of a stream is kept for what needs content in memory.
const keepLimit = 1 << 20

// A source is the content, hashed once for each digest that is asked for.
type source interface {
	sum(d digest) ([]byte, error)
	whole() ([]byte, bool) // the content, where it is small enough to be at hand
	likeAttributes() bool  // it could be a set of signed attributes
}

type memory struct{ b []byte }

func (m *memory) sum(d digest) ([]byte, error) {
	h := d.hash.New()
	h.Write(m.b)
	return h.Sum(nil), nil
}

func (m *memory) whole() ([]byte, bool) { return m.b, true }
func (m *memory) likeAttributes() bool  { return likeAttributes(m.b, int64(len(m.b))) }

// A stream can be read once, for all the digests that will be asked for.
type stream struct {
	r      io.Reader
	wanted []digest
	done   map[string][]byte
	head   bytes.Buffer
	size   int64
}

func (s *stream) sum(d digest) ([]byte, error) {
	if s.done == nil {
		if err := s.read(); err != nil {
			return nil, err
		}
	}
	return s.done[d.name], nil
}

func (s *stream) read() error {
	hashes := make([]hash.Hash, len(s.wanted))
	for i, d := range s.wanted {
		hashes[i] = d.hash.New()
	}
	buf := make([]byte, 1<<18)
	for {
		n, err := s.r.Read(buf)
		for _, h := range hashes {
			h.Write(buf[:n])
		}
		s.size += int64(n)
		s.head.Write(buf[:min(n, keepLimit-s.head.Len())])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	s.done = map[string][]byte{}
	for i, d := range s.wanted {
		s.done[d.name] = hashes[i].Sum(nil)
	}
	return nil
}

func (s *stream) whole() ([]byte, bool) { return s.head.Bytes(), s.size <= keepLimit }
func (s *stream) likeAttributes() bool  { return likeAttributes(s.head.Bytes(), s.size) }

// likeAttributes tells content that could be a DER set of attributes: such a set is what a
// signature with signed attributes is over, so that content and signature may have been a
// genuine pair of another content (MTG AG, October 2024). The head is enough to see it.
func likeAttributes(head []byte, size int64) bool {
	if len(head) < 2 || head[0] != 0x31 {
		return false
	}
	length, start := int64(head[1]), 2
	if length >= 0x80 {
		n := int(length & 0x7f)
		if n > 6 || len(head) < 2+n {
			return false
		}
		length = 0
		for _, b := range head[2 : 2+n] {
			length = length<<8 | int64(b)
		}
		start += n
	}
	set := cryptobyte.String(head[start:])
	if length != size-int64(start) || !set.PeekASN1Tag(casn1.SEQUENCE) {
		return false
	}
	// The first attribute is a sequence that begins with an identifier.
	return len(set) > 2 && (set[1] < 0x80 && set[2:].PeekASN1Tag(casn1.OBJECT_IDENTIFIER) ||
		set[1] > 0x80 && len(set) > 2+int(set[1]&0x7f) && set[2+int(set[1]&0x7f):].PeekASN1Tag(casn1.OBJECT_IDENTIFIER))
}
