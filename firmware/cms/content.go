package cms

import (
	"bytes"
	"errors"
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

// A stream can be read once: the first digest is the one that counts.
type stream struct {
	r    io.Reader
	name string
	done []byte
	head bytes.Buffer
	size int64
}

var errSecondDigest = errors.New("signers use different digests, the content can be read once only")

func (s *stream) sum(d digest) ([]byte, error) {
	if s.done != nil {
		if s.name != d.name {
			return nil, errSecondDigest
		}
		return s.done, nil
	}
	h := d.hash.New()
	buf := make([]byte, 1<<18)
	for {
		n, err := s.r.Read(buf)
		h.Write(buf[:n])
		s.size += int64(n)
		s.head.Write(buf[:min(n, keepLimit-s.head.Len())])
		if err == io.EOF {
			s.name, s.done = d.name, h.Sum(nil)
			return s.done, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *stream) whole() ([]byte, bool) { return s.head.Bytes(), s.size <= keepLimit }
func (s *stream) likeAttributes() bool  { return likeAttributes(s.head.Bytes(), s.size) }

// likeAttributes tells content that could be a DER set of attributes: such a set is what a
// signature with signed attributes is over, so that content and signature may have been a
// genuine pair of another content (MTG AG, October 2024). The head is enough to see it.
func likeAttributes(head []byte, size int64) bool {
	var set, attr cryptobyte.String
	in := cryptobyte.String(head)
	if size <= keepLimit {
		if !in.ReadASN1(&set, casn1.SET) || !in.Empty() {
			return false
		}
	} else if in.Skip(1) && len(head) > 0 && head[0] == 0x31 {
		// Longer than what is kept: no signer makes such attributes, but the head tells.
		set = head[min(len(head), 6):]
	} else {
		return false
	}
	return set.PeekASN1Tag(casn1.SEQUENCE) && set.ReadASN1(&attr, casn1.SEQUENCE) && attr.PeekASN1Tag(casn1.OBJECT_IDENTIFIER)
}
