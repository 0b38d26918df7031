package sigstore

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"assay/firmware/format"
)

// maxArtifact is the largest artifact of which variants are made.
const maxArtifact = 1 << 30

// variants are what can be made without an old or another product's image: no signature says which of them it is of.
func variants() []string {
	all := []string{
		format.Tampered, format.TamperedPlain, format.HeaderFlip, format.SignatureFlip, format.TrailerFlip,
		format.Unsigned, format.DuplicateSignature, format.StrippedProof, format.WrongKey, format.WrongKeyForged, format.SelfMadeChain,
		format.AlgorithmConfusion, format.TruncatedPayload, format.TruncatedSignature, format.Empty, format.TrailingData,
		format.DuplicateEntry, format.MixAndMatch, format.Swapped,
	}
	return format.InOrder(all...)
}

// A change is a variant in the making.
type change struct {
	img       *Image
	signature []byte
	artifact  []byte
	second    []byte // of a pair
	m         format.Manifest
}

// Tamper makes a variant of the signature and its artifact. A keyless one can be changed, but
// not made again: that takes the log's key, which no maker has.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v, err := img.tamper(variant, means)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of sigstore signature: %w", variant, err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means) (format.Variant, error) {
	if !slices.Contains(format.Variants(), variant) { // a typing error, not a matter of this format
		return format.Variant{}, format.ErrUnknownVariant
	}
	if img.artifact == nil {
		return format.Variant{}, wrap(format.ErrNotApplicable, "what was signed was not given")
	}
	if len(img.sig) == 0 {
		return format.Variant{}, wrap(format.ErrNotApplicable, "it is not signed")
	}
	artifact, err := img.artifact.Whole(maxArtifact)
	if err != nil {
		return format.Variant{}, err
	}
	c := &change{img: img, signature: bytes.Clone(img.raw), artifact: artifact, m: format.Manifest{Format: Name, Variant: variant}}
	if err := c.make(variant, means); err != nil {
		return format.Variant{}, err
	}
	v := format.Variant{Manifest: c.m, Files: map[string][]byte{format.FileSignature: c.signature, format.FileArtifact: c.artifact}}
	if c.second != nil {
		v.Files = map[string][]byte{format.FileSignature: c.signature, format.FileFirst: c.artifact, format.FileSecond: c.second}
	}
	return v, nil
}

func (c *change) make(variant string, means format.Means) error {
	switch variant {
	case format.TamperedPlain, format.Tampered, format.Swapped, format.TruncatedPayload, format.TrailingData:
		return c.changeArtifact(variant)
	case format.SignatureFlip:
		return c.flipSignature()
	case format.Unsigned, format.Empty, format.TruncatedSignature:
		return c.cut(variant)
	case format.WrongKey, format.WrongKeyForged:
		return c.resign(variant == format.WrongKeyForged)
	}
	if c.img.bundle == nil {
		return wrap(format.ErrNotApplicable, "a plain signature holds nothing but itself")
	}
	switch variant {
	case format.HeaderFlip:
		return c.edit(func(b object) error {
			b["mediaType"] = mediaTypePrefix + ".v0.7+json"
			c.say(format.LayerStructure, format.ErrMalformed, "a version of the bundle that nobody knows is not guessed at", "media type of version 0.7")
			return nil
		})
	case format.AlgorithmConfusion:
		return c.confuse()
	case format.DuplicateEntry:
		return c.duplicate()
	case format.DuplicateSignature:
		return c.secondSignature()
	case format.SelfMadeChain:
		return c.selfMade()
	case format.StrippedProof, format.TrailerFlip, format.MixAndMatch:
		return c.changeProof(variant, means)
	}
	return wrap(format.ErrNotApplicable, "the format has nothing to make it of")
}

func (c *change) say(layer format.Layer, reason error, expected string, changed ...string) {
	c.m.Layer, c.m.Reason, c.m.Expected = layer, reason, expected
	c.m.Changed = append(c.m.Changed, changed...)
}

func (c *change) changeArtifact(variant string) error {
	if len(c.artifact) == 0 {
		return wrap(format.ErrNotApplicable, "the artifact is empty")
	}
	at := format.Harmless(c.artifact)
	flipped := bytes.Clone(c.artifact)
	flipped[at] ^= 1
	what := fmt.Sprintf("lowest bit of the artifact's byte at offset %d", at)
	layer, reason := format.LayerHash, format.ErrBadHash
	if c.img.bundle == nil {
		layer, reason = format.LayerSignature, format.ErrBadSignature
	}
	switch variant {
	case format.TamperedPlain:
		c.artifact = flipped
		c.say(layer, reason, "the artifact is not what was signed", what)
	case format.Swapped:
		c.second = flipped
		c.say(layer, reason, "what is used is not what was checked", "the second artifact: "+what)
	case format.TruncatedPayload:
		n := len(c.artifact) / 2
		c.artifact = c.artifact[:n]
		c.say(layer, reason, "the artifact is not what was signed", fmt.Sprintf("artifact cut at offset %d", n))
	case format.TrailingData:
		c.say(layer, reason, "the signature covers the artifact to its last byte", fmt.Sprintf("16 bytes behind offset %d of the artifact", len(c.artifact)))
		c.artifact = append(bytes.Clone(c.artifact), "sixteen bytes ..."[:16]...)
	case format.Tampered:
		c.artifact = flipped
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is of another artifact", what)
		return c.repair()
	}
	return nil
}

// repair makes the digests in the signature file those of the changed artifact.
func (c *change) repair() error {
	switch {
	case c.img.bundle == nil:
		return nil
	case c.img.envelope == nil:
		c.m.Repaired = append(c.m.Repaired, "message digest")
		return c.edit(func(b object) error {
			sub(b, "messageSignature", "messageDigest")["digest"] = sumOf(c.img.hash, c.artifact)
			return nil
		})
	}
	payload := c.img.envelope.payload
	before, err := c.img.artifact.Whole(maxArtifact)
	if err != nil {
		return err
	}
	for _, n := range digestNames {
		payload = bytes.ReplaceAll(payload, fmt.Appendf(nil, "%x", sumOf(n.hash, before)), fmt.Appendf(nil, "%x", sumOf(n.hash, c.artifact)))
	}
	if bytes.Equal(payload, c.img.envelope.payload) {
		return wrap(format.ErrNotApplicable, "the artifact is none of the statement's subjects")
	}
	c.m.Repaired = append(c.m.Repaired, "digest of the statement's subject")
	return c.edit(func(b object) error { sub(b, "dsseEnvelope")["payload"] = payload; return nil })
}

func (c *change) cut(variant string) error {
	switch {
	case variant == format.Unsigned && c.img.bundle != nil:
		c.say(format.LayerSignature, format.ErrUnsigned, "there is no signature", "signature emptied")
		return c.setSignature(nil)
	case variant == format.TruncatedSignature:
		n := len(c.signature) / 2
		if c.img.bundle == nil {
			n |= 1 // no multiple of four: the half of base64 is base64 again
		}
		c.signature = c.signature[:n]
		c.say(format.LayerStructure, format.ErrMalformed, "the signature file ends too early", fmt.Sprintf("signature file cut at offset %d", n))
		return nil
	}
	c.signature = []byte{}
	c.say(format.LayerStructure, format.ErrMalformed, "there is no signature", "signature file emptied")
	return nil
}

// flipSignature changes the last bit of s of ECDSA, of the last byte else.
func (c *change) flipSignature() error {
	sig := bytes.Clone(c.img.sig)
	sig[len(sig)-1] ^= 1
	c.say(format.LayerSignature, format.ErrBadSignature, "the signature does not fit", "lowest bit of the signature's last byte")
	return c.setSignature(sig)
}

// setSignature writes another signature in the place of the genuine one.
func (c *change) setSignature(sig []byte) error {
	if c.img.bundle == nil {
		c.signature = []byte(base64.StdEncoding.EncodeToString(sig))
		return nil
	}
	return c.edit(func(b object) error {
		if c.img.envelope == nil {
			sub(b, "messageSignature")["signature"] = sig
		} else {
			sub(b, "dsseEnvelope")["signatures"] = []any{object{"sig": sig}}
		}
		return nil
	})
}

// resign signs with a fresh key. forged leaves the maker's hint or certificate where it is.
func (c *change) resign(forged bool) error {
	if !forged && c.img.bundle == nil {
		return wrap(format.ErrNotApplicable, "a plain signature names no key")
	}
	if !forged && c.img.leaf != nil {
		return wrap(format.ErrNotApplicable, "it names its key by a certificate: see %s", format.SelfMadeChain)
	}
	stranger, err := c.stranger()
	if err != nil {
		return err
	}
	message, pure := c.artifact, c.img.bundle == nil
	if c.img.envelope != nil {
		message, pure = c.img.envelope.message(), true
	}
	sig, err := sign(stranger, message, pure)
	if err != nil {
		return err
	}
	c.say(format.LayerSignature, format.ErrBadSignature, "the signature is of a key that is not trusted", "signature made by a fresh key")
	if err := c.setSignature(sig); err != nil || forged {
		return err
	}
	keys, err := format.NewKeys(stranger.Public())
	if err != nil {
		return err
	}
	c.say(format.LayerTrust, format.ErrNoTrustedKey, "the bundle names a key that is not trusted", "hint is that of the fresh key")
	return c.edit(func(b object) error {
		sub(b, "verificationMaterial", "publicKey")["hint"] = hintOf(keys.All()[0])
		return nil
	})
}

// stranger is a key that signs with the hash that the bundle names.
func (c *change) stranger() (crypto.Signer, error) {
	if c.img.leaf != nil {
		return strangerOf(c.img.leaf.PublicKey)
	}
	return strangerFor(c.img)
}

// selfMade signs under a fresh authority of the same names, with a fresh log: consistent in
// itself, for devices that follow the certificate to wherever it leads.
func (c *change) selfMade() error {
	if c.img.leaf == nil {
		return wrap(format.ErrNotApplicable, "it is signed by a bare key")
	}
	who, err := certificate.SummarizeCertificate(c.img.leaf)
	if err != nil {
		return err
	}
	a, err := NewAuthority(c.img.leaf.NotBefore)
	if err != nil {
		return err
	}
	a.ca.RawSubject, a.ca.Subject = c.img.leaf.RawIssuer, c.img.leaf.Issuer
	s := Spec{Artifact: c.artifact, Authority: a, Identity: who.SubjectAlternativeName, Issuer: who.Issuer}
	if c.img.envelope != nil {
		s.Predicate = c.img.envelope.statement.PredicateType
	}
	if c.signature, err = Build(s); err != nil {
		return wrap(format.ErrNotApplicable, "%v", err)
	}
	c.say(format.LayerTrust, format.ErrChain, "the certificate leads to no trusted authority",
		"certificate, signature and log entry made under a fresh authority of the same name")
	return nil
}

// edit decodes the bundle, changes it and writes it again.
func (c *change) edit(f func(object) error) error {
	d := json.NewDecoder(bytes.NewReader(c.signature))
	d.UseNumber()
	var b object
	if err := d.Decode(&b); err != nil {
		return malformed("%v", err)
	}
	if err := f(b); err != nil {
		return err
	}
	out, err := json.Marshal(b)
	c.signature = out
	return err
}

// sub walks down to a member; one that is missing is made, and then changes nothing that counts.
func sub(b object, path ...string) object {
	for _, name := range path {
		next, ok := b[name].(object)
		if !ok {
			next = object{}
			b[name] = next
		}
		b = next
	}
	return b
}
