package detached

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// The variants that minisign and signify have beside the common ones.
var (
	signifyVariants  = []string{format.HeaderFlip, format.WrongKey, format.WrongKeyForged, format.DuplicateSignature, format.AlgorithmConfusion}
	minisignVariants = append([]string{
		format.TrailerFlip, format.FormatDowngrade, format.DuplicateEntry, format.Older, format.OtherProduct, format.OtherHardware,
	}, signifyVariants...)
)

// freshNumber is that of keys made here; it need not be random.
var freshNumber = [8]byte{'t', 'a', 'm', 'p', 'e', 'r', 'e', 'd'}

func (m *minisign) tamper(variant string, means format.Means, c *change) error {
	bad := *m
	switch variant {
	case format.TrailerFlip:
		return bad.flipComment(c)
	case format.FormatDowngrade:
		c.signature = m.signatureLine.append(nil)
		c.say(format.LayerStructure, format.ErrMalformed, "without trusted comment and global signature it is no minisign signature", "third and fourth line removed")
		if m.algorithm == algorithmPure {
			// What is left is a signature of signify; only a signify key may take it.
			c.m.Reason = format.ErrNoTrustedKey
		}
		return nil
	case format.DuplicateEntry:
		c.signature = m.signatureLine.append(nil)
		c.signature = append(c.signature, trustedPrefix+"version:999\n"+string(m.tail())...)
		c.say(format.LayerStructure, format.ErrMalformed, "there is one trusted comment", "a second trusted comment put before the genuine one")
		return nil
	case format.Older, format.OtherProduct, format.OtherHardware:
		return m.claim(variant, means, c)
	case format.DuplicateSignature, format.WrongKey, format.WrongKeyForged:
		return m.strange(variant, c)
	}
	return bad.signatureLine.tamper(variant, c, func() []byte { return bad.bytes() })
}

// flipComment changes the signed comment, which says what the file is.
func (m *minisign) flipComment(c *change) error {
	if m.trusted == "" {
		return format.Wrap(format.ErrNotApplicable, "the trusted comment is empty")
	}
	b := []byte(m.trusted)
	b[len(b)-1] ^= 1
	if b[len(b)-1] == '\n' || b[len(b)-1] == '\r' {
		b[len(b)-1] ^= 0x40
	}
	m.trusted = string(b)
	c.signature = m.bytes()
	c.say(format.LayerSignature, format.ErrBadSignature, "the global signature is not one of the changed comment", "last character of the trusted comment")
	return nil
}

// claim signs the same file with the maker's key under a comment that says something else.
func (m *minisign) claim(variant string, means format.Means, c *change) error {
	if means.Signer == nil {
		return format.Wrap(format.ErrNotApplicable, "it needs the maker's key")
	}
	name, own, other, reason, layer := "version", m.from.Version, "0", format.ErrRollback, format.LayerFreshness
	device := &format.Device{Version: own}
	switch variant {
	case format.OtherProduct:
		name, own, other, reason, layer = "product", m.from.Product, "another", format.ErrWrongDevice, format.LayerIdentity
		device = &format.Device{Is: map[string]string{name: own}}
	case format.OtherHardware:
		name, own, other, reason, layer = "hardware", m.from.Hardware, "another", format.ErrWrongDevice, format.LayerIdentity
		device = &format.Device{Is: map[string]string{name: own}}
	}
	if own == "" || own == other {
		return format.Wrap(format.ErrNotApplicable, "the trusted comment tells no %s", name)
	}
	comment := strings.Replace(m.trusted, ":"+own, ":"+other, 1)
	b, err := SignMinisign(Minisign{Key: means.Signer, Number: m.number, Legacy: m.algorithm == algorithmPure, Comment: m.comment, Trusted: comment}, c.artifact)
	if err != nil {
		return err
	}
	c.signature, c.m.Device = b, device
	c.say(layer, reason, "genuine, but its trusted comment names another "+name, "trusted comment: "+name+" "+strconv.Quote(own)+" became "+strconv.Quote(other)+", signed again")
	return nil
}

// strange has a stranger sign.
func (m *minisign) strange(variant string, c *change) error {
	key, err := freshEd25519()
	if err != nil {
		return err
	}
	spec := Minisign{Key: key, Number: freshNumber, Legacy: m.algorithm == algorithmPure, Comment: m.comment, Trusted: m.trusted}
	if variant == format.WrongKeyForged {
		spec.Number = m.number
	}
	b, err := SignMinisign(spec, c.artifact)
	if err != nil {
		return err
	}
	return stranger(variant, b, c)
}

// stranger puts a stranger's signature in place of the maker's, or before it.
func stranger(variant string, b []byte, c *change) error {
	switch variant {
	case format.DuplicateSignature:
		c.signature = append(b, c.signature...)
		c.say(format.LayerStructure, format.ErrMalformed, "there must be one signature", "a stranger's signature put before the maker's")
	case format.WrongKeyForged:
		c.signature = b
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the key it names", "signature made by a fresh key that takes the maker's number")
	default:
		c.signature = b
		c.say(format.LayerTrust, format.ErrNoTrustedKey, "nobody trusts the key", "signature made by a fresh key")
	}
	return nil
}

func (s *signify) tamper(variant string, _ format.Means, c *change) error {
	switch variant {
	case format.WrongKey, format.WrongKeyForged, format.DuplicateSignature:
		return s.strange(variant, c)
	case format.TruncatedSignature:
		c.signature = c.signature[:s.head/2]
		c.say(format.LayerStructure, format.ErrMalformed, "the signature ends too early", "signature file cut amid its second line")
		return nil
	}
	if variant == format.Empty && s.img.inside() {
		c.artifact = []byte{}
		c.say(format.LayerStructure, format.ErrNotVerified, "there is nothing that the signature is for", "embedded message removed")
		return nil
	}
	if s.img.embedded != nil && !s.img.inside() {
		switch variant {
		case format.Tampered:
			return s.repairList(c)
		case format.TamperedPlain, format.TruncatedPayload, format.Empty, format.TrailingData, format.MixAndMatch, format.Swapped:
			// Here a checksum stands between the file and the signature.
			if err := c.common(variant, format.Means{}); err != nil {
				return err
			}
			c.m.Layer, c.m.Reason, c.m.Expected = format.LayerPayload, format.ErrBadHash, "the file is not one that the signed list vouches for"
			return nil
		}
	}
	if variant == format.AlgorithmConfusion {
		bad := s.signatureLine
		bad.algorithm = algorithmPrehash
		c.signature = append(bad.append(nil), c.signature[s.head:]...)
		c.say(format.LayerStructure, format.ErrMalformed, "signify knows no other algorithm", "algorithm Ed became ED")
		return nil
	}
	bad := s.signatureLine
	return bad.tamper(variant, c, func() []byte { return append(bad.append(nil), c.signature[s.head:]...) })
}

func (s *signify) strange(variant string, c *change) error {
	key, err := freshEd25519()
	if err != nil {
		return err
	}
	number := freshNumber
	if variant == format.WrongKeyForged {
		number = s.number
	}
	message := c.artifact
	if !s.img.inside() && s.img.embedded != nil {
		message = c.signature[s.head:]
	}
	b, err := SignSignify(Signify{Key: key, Number: number, Comment: s.comment}, message)
	if err != nil {
		return err
	}
	if variant == format.DuplicateSignature {
		if s.img.embedded != nil {
			return format.Wrap(format.ErrNotApplicable, "what stands behind the signature is the message")
		}
		// The maker's becomes the message of the stranger's.
		c.signature = append(b, c.signature...)
		c.say(format.LayerTrust, format.ErrNoTrustedKey, "nobody trusts the key of the first signature", "a stranger's signature put before the maker's")
		return nil
	}
	return stranger(variant, append(b, c.signature[s.head:]...), c)
}

// repairList changes the file and puts its new checksum into the list, which the signature covers.
func (s *signify) repairList(c *change) error {
	old := bytes.Clone(c.artifact)
	if err := c.flipArtifact(); err != nil {
		return err
	}
	list := string(c.signature[s.head:])
	for _, sum := range s.sums {
		h := newSum(sum.algorithm)
		h.Write(old)
		if !bytes.Equal(h.Sum(nil), sum.sum) {
			continue
		}
		h = newSum(sum.algorithm)
		h.Write(c.artifact)
		list = strings.Replace(list, hex.EncodeToString(sum.sum), hex.EncodeToString(h.Sum(nil)), 1)
		c.m.Repaired = append(c.m.Repaired, "checksum of "+printable(sum.name))
	}
	if c.m.Repaired == nil {
		return format.Wrap(format.ErrNotApplicable, "the message is no list of checksums with this file")
	}
	c.signature = append(c.signature[:s.head:s.head], list...)
	return nil
}

// tamper makes what both tools' second line allows.
func (s *signatureLine) tamper(variant string, c *change, write func() []byte) error {
	switch variant {
	case format.SignatureFlip:
		s.value[33] ^= 1
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is another", "lowest bit of byte 33 of the signature")
	case format.HeaderFlip:
		s.number[0] ^= 1
		c.say(format.LayerTrust, format.ErrNoTrustedKey, "nobody trusts a key of that number", "lowest bit of the key number")
	case format.AlgorithmConfusion:
		from := s.algorithm
		s.algorithm = map[string]string{algorithmPure: algorithmPrehash, algorithmPrehash: algorithmPure}[from]
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the other kind", "algorithm "+from+" became "+s.algorithm)
	default:
		return format.ErrUnknownVariant
	}
	c.signature = write()
	return nil
}

func (m *minisign) bytes() []byte { return append(m.signatureLine.append(nil), m.tail()...) }

// tail is the third and fourth line.
func (m *minisign) tail() []byte {
	return []byte(trustedPrefix + m.trusted + "\n" + base64.StdEncoding.EncodeToString(m.global[:]) + "\n")
}

// signEd25519 signs with any signer that holds an Ed25519 key.
func signEd25519(key crypto.Signer, message []byte) (sig [ed25519.SignatureSize]byte, err error) {
	if key == nil {
		return sig, format.Wrap(format.ErrUnsigned, "no key to sign with")
	}
	if _, ok := key.Public().(ed25519.PublicKey); !ok {
		return sig, format.Wrap(format.ErrAlgorithm, "it signs with ed25519, not with %T", key.Public())
	}
	b, err := key.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		return sig, err
	}
	copy(sig[:], b)
	return sig, nil
}

func concat(parts ...[]byte) []byte { return slices.Concat(parts...) }
