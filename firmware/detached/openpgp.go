package detached

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"assay/firmware/format"
)

// pgp is one OpenPGP signature packet (RFC 9580 section 5.2), binary or armored. There
// must be exactly one: of several, tools disagree which one counts.
type pgp struct {
	sig    *packet.Signature
	frame  pgpFrame
	armour bool
	packet []byte // binary
}

const (
	armourBegin = "-----BEGIN PGP SIGNATURE-----"
	armourEnd   = "-----END PGP SIGNATURE-----"
	// maxPGP is far above the largest signature of a classical algorithm.
	maxPGP = 16 << 10
)

// OpenPGPFormat is the one of Formats that container formats sign with, too.
func OpenPGPFormat() format.Format {
	return format.Format{
		Name: "openpgp",
		Detect: func(in format.Input) bool {
			head := in.Head(maxPGP)
			if bytes.HasPrefix(bytes.TrimSpace(head), []byte(armourBegin)) {
				return true
			}
			f, err := parseFrame(head)
			return err == nil && f.plausible(head)
		},
		OpenUnverified: func(in format.Input) (format.Image, error) {
			return open(in, "openpgp", parsePGP)
		},
		Anchor:   func(b []byte) bool { _, err := readKeyRing(b); return err == nil },
		Variants: variants(pgpVariants...),
	}
}

func parsePGP(in format.Input, _ *Image) (scheme, error) {
	b, err := whole(in)
	if err != nil {
		return nil, err
	}
	s := &pgp{}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte(armourBegin)) {
		s.armour = true
		if b, err = unarmour(b); err != nil {
			return nil, err
		}
	}
	if s.frame, err = parseFrame(b); err != nil {
		return nil, err
	}
	if rest := len(b) - s.frame.end; rest > 0 {
		return nil, format.Wrap(format.ErrTrailing, "%d bytes behind the signature packet", rest)
	}
	if s.frame.end > len(b) {
		return nil, format.Malformed("the signature packet needs %d bytes, the file has %d", s.frame.end, len(b))
	}
	p, err := packet.Read(bytes.NewReader(b))
	if err != nil {
		return nil, format.Malformed("%v", err)
	}
	sig, ok := p.(*packet.Signature)
	if !ok || sig.Version != 4 && sig.Version != 6 {
		return nil, format.Malformed("no signature of version 4 or 6")
	}
	if sig.IssuerKeyId == nil {
		return nil, format.Malformed("the signature names no key")
	}
	s.sig, s.packet = sig, b
	if err := s.frame.measure(b); err != nil {
		return nil, err
	}
	return s, nil
}

func unarmour(b []byte) ([]byte, error) {
	text := bytes.TrimSpace(b)
	if !bytes.HasSuffix(text, []byte(armourEnd)) || bytes.Count(text, []byte("-----BEGIN ")) != 1 {
		return nil, format.Malformed("not exactly one armored signature")
	}
	block, err := armor.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, format.Malformed("armor: %v", err)
	}
	body, err := io.ReadAll(io.LimitReader(block.Body, maxPGP+1))
	if err != nil {
		return nil, format.Malformed("armor: %v", err)
	}
	return body, nil
}

// A pgpFrame is where the parts of a signature packet lie.
type pgpFrame struct {
	head    int // bytes of the packet's tag and length
	end     int
	version byte
	// of versions 4 and 6, filled by measure
	unhashed, unhashedEnd int
}

// parseFrame reads tag and length (RFC 9580 section 4.2). Lengths that are only found by
// reading on (partial, indeterminate) are refused: a signature does not need them.
func parseFrame(b []byte) (pgpFrame, error) {
	if len(b) < 3 || b[0]&0x80 == 0 {
		return pgpFrame{}, format.Malformed("no OpenPGP packet")
	}
	tag, size, head := int(b[0]&0x3f), 0, 0
	if b[0]&0x40 == 0 {
		tag >>= 2
		n := 1 << (b[0] & 3)
		if n == 8 || len(b) < 1+n {
			return pgpFrame{}, format.Malformed("packet of indeterminate length")
		}
		for _, c := range b[1 : 1+n] {
			size = size<<8 | int(c)
		}
		head = 1 + n
	} else {
		switch c := int(b[1]); {
		case c < 192:
			size, head = c, 2
		case c < 224:
			size, head = (c-192)<<8+int(b[2])+192, 3
		case c == 255 && len(b) > 6:
			size, head = int(b[2])<<24|int(b[3])<<16|int(b[4])<<8|int(b[5]), 6
		default:
			return pgpFrame{}, format.Malformed("packet of partial length")
		}
	}
	if tag != 2 || size < 8 || size > maxPGP || len(b) <= head {
		return pgpFrame{}, format.Malformed("packet %d of %d bytes is no signature", tag, size)
	}
	return pgpFrame{head: head, end: head + size, version: b[head]}, nil
}

// plausible tells a packet, also a cut one, from random bytes such as a raw signature: version,
// type, algorithm and hash must be ones that there are.
func (f pgpFrame) plausible(b []byte) bool {
	if len(b) < f.head+4 || f.version < 3 || f.version > 6 {
		return false
	}
	if f.version == 3 {
		return b[f.head+1] == 5
	}
	return b[f.head+1] <= 0x50 && b[f.head+2] <= 36 && b[f.head+3] <= 14
}

// measure finds the unhashed area, which nobody signed.
func (f *pgpFrame) measure(b []byte) error {
	at := f.head + 4
	count := func() (int, bool) {
		width := 2
		if f.version == 6 {
			width = 4
		}
		if at+width > f.end {
			return 0, false
		}
		n := 0
		for _, c := range b[at : at+width] {
			n = n<<8 | int(c)
		}
		at += width
		return n, n <= f.end-at
	}
	n, ok := count()
	if !ok {
		return format.Malformed("hashed area runs over the packet")
	}
	at += n
	f.unhashed = at
	if n, ok = count(); !ok {
		return format.Malformed("unhashed area runs over the packet")
	}
	f.unhashedEnd = at + n
	return nil
}

func (s *pgp) describe(f *format.Facts) {
	f.Signature = pgpName(s.sig.PubKeyAlgo) + "-" + hashName(s.sig.Hash)
	f.KeyHint = fmt.Sprintf("%016X", *s.sig.IssuerKeyId)
	if len(s.sig.IssuerFingerprint) > 0 {
		f.KeyHint = strings.ToUpper(hex.EncodeToString(s.sig.IssuerFingerprint))
	}
	f.Fields = append(f.Fields,
		format.Field{Name: "created", Value: s.sig.CreationTime.UTC().Format(time.RFC3339), Protected: true},
		format.Field{Name: "version", Value: fmt.Sprint(s.sig.Version), Protected: true},
	)
	for _, n := range s.sig.Notations {
		f.Fields = append(f.Fields, format.Field{Name: "notation " + printable(n.Name), Value: printable(string(n.Value)), Protected: true})
	}
	if s.armour {
		f.Uncovered = append(f.Uncovered, format.Region{Name: "armor and unhashed area", Size: f.Size})
	} else {
		f.Uncovered = append(f.Uncovered, format.Region{Name: "unhashed area", Offset: int64(s.frame.unhashed), Size: int64(s.frame.unhashedEnd - s.frame.unhashed)})
	}
	f.Notes = append(f.Notes,
		"The signature tells neither version nor device: it keeps no older release out.",
		"gpgv takes revoked and expired keys: its exit code alone is no verification.")
	if s.sig.SigType == packet.SigTypeText {
		f.Notes = append(f.Notes, "The signature is of text: line ends are not covered.")
	}
}

func pgpName(a packet.PublicKeyAlgorithm) string {
	switch a {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		return "rsa"
	case packet.PubKeyAlgoDSA:
		return "dsa"
	case packet.PubKeyAlgoECDSA:
		return "ecdsa"
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return "ed25519"
	}
	return fmt.Sprintf("algorithm-%d", a)
}

func hashName(h crypto.Hash) string {
	return strings.ToLower(strings.Replace(h.String(), "SHA-", "sha", 1))
}

func (s *pgp) verify(trust format.Trust, artifact format.Source, r *format.Report) error {
	switch s.sig.Hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	case crypto.MD5, crypto.SHA1, crypto.RIPEMD160, crypto.SHA224:
		r.Findings = format.WeakDigest(s.sig.Hash.String())
		return format.Wrap(format.ErrWeak, "the signature is of a digest by %v", s.sig.Hash)
	default:
		return format.Wrap(format.ErrAlgorithm, "the signature is of a digest by %v", s.sig.Hash)
	}
	if s.sig.SigType != packet.SigTypeBinary {
		return format.Wrap(format.ErrNotBound, "signature of type 0x%02x, a file needs 0x00: text signatures leave line ends to anybody", int(s.sig.SigType))
	}
	id, given := *s.sig.IssuerKeyId, 0
	err := error(nil)
	for _, a := range trust.Own["openpgp"] {
		list, bad := readKeyRing(a.Bytes)
		if bad != nil {
			return format.Wrap(format.ErrNoTrustedKey, "trust file %s: %v", a.From, bad)
		}
		given += len(list)
		for _, k := range list.KeysById(id) {
			if err = s.verifyWith(k, a.From, trust.Now(), artifact, r); err == nil {
				return nil
			}
		}
	}
	if err == nil {
		err = format.Wrap(format.ErrNoTrustedKey, "the signature names key %016X, which is none of the %d given", id, given)
	}
	return err
}

func (s *pgp) verifyWith(k openpgp.Key, from string, now time.Time, artifact format.Source, r *format.Report) error {
	public, ok := standardKey(k.PublicKey)
	if !ok {
		return format.Wrap(format.ErrAlgorithm, "a key of algorithm %d vouches for no firmware", k.PublicKey.PubKeyAlgo)
	}
	if p, isRSA := public.(*rsa.PublicKey); isRSA && p.N.BitLen() < 2048 {
		r.Findings = format.WeakKey(public)
		return format.Wrap(format.ErrWeak, "rsa key of %d bits", p.N.BitLen())
	}
	key, err := onlyKey(public, from)
	if err != nil {
		return format.Wrap(format.ErrAlgorithm, "%v", err)
	}
	tell(r, key)
	h, err := s.sig.PrepareVerify()
	if err != nil {
		return format.Wrap(format.ErrAlgorithm, "%v", err)
	}
	plain, all := h, []hash.Hash{h}
	if s.sig.Version != 4 { // salted: so far it is not the digest of the file alone
		plain = s.sig.Hash.New()
		all = append(all, plain)
	}
	if err := feed(artifact, all...); err != nil {
		return err
	}
	r.Digest = hashName(s.sig.Hash) + ":" + hex.EncodeToString(plain.Sum(nil))
	r.Chain = s.chain(k, key, r.Digest)
	if err := k.PublicKey.VerifySignature(h, s.sig); err != nil {
		return format.Wrap(format.ErrBadSignature, "%v, key %016X", err, k.PublicKey.KeyId)
	}
	if sum := h.Sum(nil); !bytes.HasPrefix(sum, s.sig.HashTag[:]) {
		return format.Malformed("the two bytes of the digest beside the signature are not those of the digest")
	}
	if err := s.usable(k, now); err != nil {
		return err
	}
	r.Signature = key.Algorithm + "-" + hashName(s.sig.Hash)
	return nil
}

// usable tells whether the key could vouch at that time: neither its primary key nor
// itself revoked or expired, made for signing.
func (s *pgp) usable(k openpgp.Key, now time.Time) error {
	self, identity := k.Entity.PrimarySelfSignature()
	sub := k.PublicKey != k.Entity.PrimaryKey
	if k.Entity.Revoked(now) || sub && k.Revoked(now) || identity != nil && identity.Revoked(now) {
		return format.Wrap(format.ErrRevoked, "key %016X", k.PublicKey.KeyId)
	}
	if self == nil || k.SelfSignature == nil {
		return format.Wrap(format.ErrPurpose, "key %016X has no self-signature", k.PublicKey.KeyId)
	}
	if !k.SelfSignature.FlagsValid || !k.SelfSignature.FlagSign {
		return format.Wrap(format.ErrPurpose, "key %016X is not for signing", k.PublicKey.KeyId)
	}
	if k.Entity.PrimaryKey.KeyExpired(self, now) || sub && k.PublicKey.KeyExpired(k.SelfSignature, now) {
		return format.Wrap(format.ErrValidity, "key %016X has expired or is not yet valid at %s", k.PublicKey.KeyId, now.UTC().Format(time.RFC3339))
	}
	for _, x := range []*packet.Signature{s.sig, self, k.SelfSignature, k.SelfSignature.EmbeddedSignature} {
		if x == nil {
			continue
		}
		if x.SigExpired(now) {
			return format.Wrap(format.ErrValidity, "the signature or one of the key's own has expired or is of the future at %s", now.UTC().Format(time.RFC3339))
		}
		for _, n := range x.Notations {
			if n.IsCritical {
				return format.Malformed("critical notation %q is unknown", printable(n.Name))
			}
		}
	}
	return nil
}

func (s *pgp) chain(k openpgp.Key, key format.Key, digest string) []format.Link {
	var chain []format.Link
	if k.PublicKey != k.Entity.PrimaryKey {
		chain = append(chain, format.Link{Kind: "key", Name: hex.EncodeToString(k.Entity.PrimaryKey.Fingerprint), Purpose: "certify", From: key.From})
	}
	name := hex.EncodeToString(k.PublicKey.Fingerprint)
	if id := k.Entity.PrimaryIdentity(); id != nil {
		name += " " + printable(id.Name)
	}
	link := format.Link{Kind: "key", Name: name, Algorithm: key.Algorithm, Strength: format.Strength(key.Public), Purpose: "sign", NotBefore: k.PublicKey.CreationTime.UTC().Format(time.RFC3339), From: key.From}
	if sig := k.SelfSignature; sig != nil && sig.KeyLifetimeSecs != nil && *sig.KeyLifetimeSecs > 0 {
		link.NotAfter = k.PublicKey.CreationTime.Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second).UTC().Format(time.RFC3339)
	}
	return append(chain, link,
		format.Link{Kind: "signature", Name: "signature file", Algorithm: key.Algorithm + "-" + hashName(s.sig.Hash), From: "image"},
		format.Link{Kind: "hash", Name: digest, Algorithm: hashName(s.sig.Hash), From: regionArtifact})
}

func (s *pgp) check(d format.Device) error { return checkNothing(d) }
