package suit

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

// HSS/LMS, the hash-based signatures of RFC 8554 with SHA-256 of 256 bits, as COSE (RFC 8778) and
// the hash-based algorithm profile for SUIT have them. Verification alone: a signer must never
// use a key twice, which is no business of a test bench.

// hssKeyOID names a key in a SubjectPublicKeyInfo (RFC 9708, RFC 9802).
var hssKeyOID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 17}

const (
	hssLevels = 8                    // RFC 8554 section 6
	hssHash   = sha256.Size          // n and m of the parameter sets taken
	lmsKey    = 4 + 4 + 16 + hssHash // bytes of one tree's public key
	hssKey    = 4 + lmsKey

	// Where a hash is used (RFC 8554 sections 4.3 and 5.3).
	hashPublic  = 0x8080
	hashMessage = 0x8181
	hashLeaf    = 0x8282
	hashNode    = 0x8383
)

// lmsHeights and otsSets are the typecodes of RFC 8554 sections 5.1 and 4.1.
var lmsHeights = map[uint32]int{5: 5, 6: 10, 7: 15, 8: 20, 9: 25}

type otsSet struct{ width, chains, shift int }

var otsSets = map[uint32]otsSet{1: {1, 265, 7}, 2: {2, 133, 6}, 3: {4, 67, 4}, 4: {8, 34, 0}}

// An hssPublic is the key of the topmost tree, and how many levels there are.
type hssPublic struct {
	levels uint32
	top    lmsPublic
}

// An lmsPublic is the key of one tree.
type lmsPublic struct {
	height int
	kind   uint32
	ots    uint32
	id     []byte
	root   []byte
}

func isHSSKey(b []byte) bool { _, ok := parseHSSKey(b); return ok }

// parseHSSKey reads PEM or DER with a SubjectPublicKeyInfo, or the 60 bytes of the key alone.
func parseHSSKey(b []byte) (hssPublic, bool) {
	if text := bytes.TrimSpace(b); bytes.HasPrefix(text, []byte("-----BEGIN PUBLIC KEY-----")) {
		block, rest := pem.Decode(text)
		if block == nil || len(bytes.TrimSpace(rest)) > 0 {
			return hssPublic{}, false
		}
		b = block.Bytes
	}
	in := cryptobyte.String(b)
	var info, algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	var bits asn1.BitString
	if in.ReadASN1(&info, casn1.SEQUENCE) && in.Empty() && info.ReadASN1(&algorithm, casn1.SEQUENCE) &&
		algorithm.ReadASN1ObjectIdentifier(&oid) && oid.Equal(hssKeyOID) && algorithm.Empty() &&
		info.ReadASN1BitString(&bits) && info.Empty() && bits.BitLength%8 == 0 {
		b = bits.Bytes
		if len(b) == hssKey+2 && b[0] == byte(casn1.OCTET_STRING) && b[1] == hssKey { // as RFC 8708 had it
			b = b[2:]
		}
	}
	if len(b) != hssKey {
		return hssPublic{}, false
	}
	levels := binary.BigEndian.Uint32(b)
	top, ok := parseLMSKey(b[4:])
	return hssPublic{levels, top}, ok && levels >= 1 && levels <= hssLevels
}

func parseLMSKey(b []byte) (k lmsPublic, ok bool) {
	if len(b) != lmsKey {
		return k, false
	}
	k = lmsPublic{kind: binary.BigEndian.Uint32(b), ots: binary.BigEndian.Uint32(b[4:]), id: b[8:24], root: b[24:]}
	_, known := otsSets[k.ots]
	k.height, ok = lmsHeights[k.kind]
	return k, ok && known
}

// verify is RFC 8554 section 6.3: each tree signs the key of the one below, the lowest the message.
func (k hssPublic) verify(message, signature []byte) bool {
	in := cryptobyte.String(signature)
	var below uint32
	if !in.ReadUint32(&below) || below+1 != k.levels {
		return false
	}
	tree := k.top
	for range below {
		sig, ok := readLMS(&in, tree)
		var next []byte
		if !ok || !in.ReadBytes(&next, lmsKey) || !tree.verify(next, sig) {
			return false
		}
		if tree, ok = parseLMSKey(next); !ok {
			return false
		}
	}
	sig, ok := readLMS(&in, tree)
	return ok && in.Empty() && tree.verify(message, sig)
}

// An lmsSignature is one tree's (RFC 8554 section 5.4).
type lmsSignature struct {
	leaf   uint32
	random []byte
	chains []byte
	path   []byte
}

func readLMS(in *cryptobyte.String, k lmsPublic) (s lmsSignature, ok bool) {
	var ots, kind uint32
	ok = in.ReadUint32(&s.leaf) && in.ReadUint32(&ots) && ots == k.ots &&
		in.ReadBytes(&s.random, hssHash) && in.ReadBytes(&s.chains, otsSets[k.ots].chains*hssHash) &&
		in.ReadUint32(&kind) && kind == k.kind && in.ReadBytes(&s.path, k.height*hssHash)
	return s, ok && s.leaf < 1<<k.height
}

// verify finds the root from the signature (RFC 8554 algorithms 4b and 6a).
func (k lmsPublic) verify(message []byte, s lmsSignature) bool {
	set := otsSets[k.ots]
	sum := k.hash(s.leaf, hashMessage, s.random, message)
	most := 1<<set.width - 1
	check := 0
	for i := range 8 * hssHash / set.width {
		check += most - digit(sum, i, set.width)
	}
	sum = binary.BigEndian.AppendUint16(sum, uint16(check<<set.shift))
	ends := make([]byte, 0, len(s.chains))
	for i := range set.chains {
		link := slices.Clone(s.chains[i*hssHash:][:hssHash])
		for j := digit(sum, i, set.width); j < most; j++ {
			link = k.hash(s.leaf, uint16(i), []byte{byte(j)}, link)
		}
		ends = append(ends, link...)
	}
	number := uint32(1)<<k.height + s.leaf
	node := k.hash(number, hashLeaf, k.hash(s.leaf, hashPublic, ends))
	for path := s.path; number > 1; path = path[hssHash:] {
		beside := path[:hssHash]
		if number%2 == 1 {
			node = k.hash(number/2, hashNode, beside, node)
		} else {
			node = k.hash(number/2, hashNode, node, beside)
		}
		number /= 2
	}
	return bytes.Equal(node, k.root)
}

func (k lmsPublic) hash(number uint32, use uint16, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write(k.id)
	h.Write(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(nil, number), use))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// digit is the i-th of width bits (RFC 8554 section 3.1.3).
func digit(b []byte, i, width int) int {
	return int(b[i*width/8]) >> (8 - width*(i%(8/width)) - width) & (1<<width - 1)
}

// checkHSS tries the trusted HSS keys.
func (s scheme) checkHSS(anchors []format.Anchor, message, signature []byte) (voucher, error) {
	for _, a := range anchors {
		if k, ok := parseHSSKey(a.Bytes); ok && k.verify(message, signature) {
			return voucher{algorithm: s.name, hss: &a}, nil
		}
	}
	if len(anchors) == 0 {
		return voucher{}, format.Wrap(format.ErrAlgorithm, "it is a signature by %s, and no key for that is trusted", s.name)
	}
	return voucher{}, format.Wrap(format.ErrBadSignature, "the %s signature is of none of the %d trusted keys", s.name, len(anchors))
}
