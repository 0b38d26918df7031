package rauc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/format"
)

// A variant is made by one function, which fills the manifest's changes, layer and reason.
type maker func(t *tampering) error

// A recipe is one variant with what is the same in every bundle.
type recipe struct {
	variant  string
	make     maker
	layer    format.Layer
	reason   error
	expected string
	classic  string
}

// checkUse is the race of RAUC before 1.5.
const checkUse = "CVE-2020-25860"

func recipes() []recipe {
	hash, sig, structure, trust := format.LayerHash, format.LayerSignature, format.LayerStructure, format.LayerTrust
	return []recipe{
		{format.Tampered, (*tampering).tampered, sig, format.ErrBadHash, "the signed message digest is of other content", ""},
		{format.TamperedPlain, (*tampering).tamperedPlain, format.LayerPayload, format.ErrBadHash, "the payload is not what signature or hash tree say", ""},
		{format.HeaderFlip, (*tampering).headerFlip, sig, format.ErrBadHash, "the manifest (of a plain bundle: the squashfs superblock) is not what was signed", ""},
		{format.SignatureFlip, (*tampering).signatureFlip, sig, format.ErrBadSignature, "the signature value is not one of the signer's key", ""},
		{format.TrailerFlip, (*tampering).treeFlip, hash, format.ErrBadHash, "the hash tree does not lead to the root in the manifest", ""},
		{format.Unsigned, (*tampering).unsigned, structure, format.ErrUnsigned, "the signature size is 0", ""},
		{format.DuplicateSignature, (*tampering).duplicateSignature, trust, format.ErrNotVerified, "exactly one signer is allowed", ""},
		{format.WrongKey, (*tampering).wrongKey, trust, format.ErrChain, "the chain ends at a root of its own", ""},
		{format.WrongKeyForged, (*tampering).wrongKeyForged, sig, format.ErrBadSignature, "the signature is not one of the certificate that it names", ""},
		{format.SelfMadeChain, (*tampering).selfMadeChain, trust, format.ErrChain, "the chain has the maker's names, but none of its keys", ""},
		{format.ExpiredCertificate, (*tampering).expired, trust, format.ErrValidity, "the signer's certificate has expired", ""},
		{format.WrongPurpose, (*tampering).wrongPurpose, trust, format.ErrPurpose, "the signer's certificate is for TLS servers", ""},
		{format.AlgorithmConfusion, (*tampering).confusion, sig, format.ErrBadSignature, "the digest that the message names is not the one that was signed with", ""},
		{format.FormatDowngrade, (*tampering).downgrade, sig, format.ErrBadHash, "a detached signature makes it a plain bundle, whose payload was not signed", ""},
		{format.WeakAlgorithm, (*tampering).weak, sig, format.ErrWeak, "SHA-1 vouches for nothing", ""},
		{format.Older, (*tampering).older, format.LayerFreshness, format.ErrRollback, "genuine, but older than min-bundle-version", ""},
		{format.OtherProduct, (*tampering).otherProduct, format.LayerIdentity, format.ErrWrongDevice, "genuine, but compatible is another's", ""},
		{format.TruncatedHeader, (*tampering).truncatedHeader, structure, format.ErrMalformed, "the file ends within the first block", ""},
		{format.TruncatedPayload, (*tampering).truncatedPayload, structure, format.ErrMalformed, "the last bytes are no signature size", ""},
		{format.TruncatedSignature, (*tampering).truncatedSignature, structure, format.ErrMalformed, "the signature is cut, its size adapted", ""},
		{format.Empty, (*tampering).empty, structure, format.ErrMalformed, "the file is empty", ""},
		{format.Oversize, (*tampering).oversize, sig, format.ErrNotVerified, "a block of payload more than was signed", "CVE-2026-34155"},
		{format.TrailingData, (*tampering).trailing, structure, format.ErrMalformed, "the signature size is read from the very end", ""},
		{format.LengthLie, (*tampering).lengthLie, structure, format.ErrMalformed, "the signature size is 2^63", ""},
		{format.DuplicateEntry, (*tampering).duplicateEntry, structure, format.ErrMalformed, "the manifest has a key twice", ""},
		{format.PathEscape, (*tampering).pathEscape, structure, format.ErrMalformed, "a file name of the manifest leaves the bundle", ""},
		{format.MixAndMatch, (*tampering).mixAndMatch, sig, format.ErrNotVerified, "the signature of one release over the payload of another", ""},
		{format.Swapped, (*tampering).swapped, format.LayerPayload, format.ErrBadHash, "what is used is not what was checked", checkUse},
	}
}

func variants() []string {
	var all []string
	for _, r := range recipes() {
		all = append(all, r.variant)
	}
	return all
}

// tampering is one variant on its way.
type tampering struct {
	b     *Bundle
	raw   []byte // the whole genuine file
	means format.Means
	out   *format.Variant
}

const maxTampered = 256 << 20

// Tamper makes a variant of the bundle that a good device refuses. It reads the whole file.
func (b *Bundle) Tamper(variant string, means format.Means) (format.Variant, error) {
	v, err := b.tamper(variant, means)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of a rauc bundle: %w", variant, err)
	}
	return v, nil
}

func (b *Bundle) tamper(variant string, means format.Means) (format.Variant, error) {
	all := recipes()
	i := slices.IndexFunc(all, func(r recipe) bool { return r.variant == variant })
	if i < 0 {
		return format.Variant{}, format.ErrUnknownVariant
	}
	if b.message == nil {
		return format.Variant{}, format.Wrap(format.ErrNotApplicable, "it is not signed, or its signature is encrypted")
	}
	raw, err := b.source.Whole(maxTampered)
	if err != nil {
		return format.Variant{}, err
	}
	r := all[i]
	v := format.Variant{Manifest: format.Manifest{
		Format: name, Variant: variant, Layer: r.layer, Reason: r.reason, Expected: r.expected, Classic: r.classic,
	}}
	if err := r.make(&tampering{b, raw, means, &v}); err != nil {
		return format.Variant{}, err
	}
	return v, nil
}

func (t *tampering) changed(text string, args ...any) {
	t.out.Manifest.Changed = append(t.out.Manifest.Changed, fmt.Sprintf(text, args...))
}

func (t *tampering) repaired(what ...string) {
	t.out.Manifest.Repaired = append(t.out.Manifest.Repaired, what...)
}

func (t *tampering) payload() []byte { return bytes.Clone(t.raw[:t.b.payload]) }

// finish puts payload and signature together.
func (t *tampering) finish(payload, sig []byte, err error) error {
	t.out.Bytes = appendSignature(payload, sig)
	return err
}

func notApplicable(text string, args ...any) error {
	return format.Wrap(format.ErrNotApplicable, text, args...)
}

// flipped changes a byte amid the data: of a squashfs that is compressed data, not its tables.
func (t *tampering) flipped() []byte {
	payload, at := t.payload(), t.b.dataSize()/3
	payload[at] ^= 1
	t.changed("lowest bit of the payload byte at offset %d", at)
	return payload
}

// tampered repairs the hash tree and its root in the manifest: only the signature is left.
func (t *tampering) tampered() error {
	payload := t.flipped()
	if t.b.Kind() == Plain {
		return t.finish(payload, t.b.signature, nil)
	}
	m := t.b.manifest
	tree, root := makeTree(payload[:t.b.dataSize()], m.VeritySalt)
	copy(payload[t.b.dataSize():], tree)
	text := bytes.Replace(t.b.message.Content, fmt.Appendf(nil, "%x", m.VerityHash), fmt.Appendf(nil, "%x", root), 1)
	if bytes.Equal(text, t.b.message.Content) {
		return notApplicable("the root of the tree is written in another way")
	}
	t.repaired("hash tree", "verity-hash in the manifest")
	sig, err := t.b.message.WithContent(text)
	return t.finish(payload, sig, err)
}

func (t *tampering) tamperedPlain() error {
	if t.b.Kind() == Plain {
		t.out.Manifest.Layer = format.LayerSignature
	}
	return t.finish(t.flipped(), t.b.signature, nil)
}

func (t *tampering) headerFlip() error {
	if t.b.Kind() == Plain {
		payload := t.payload()
		payload[8] ^= 1 // time at which the file system was made: nothing else depends on it
		t.changed("lowest bit of the payload byte at offset 8, in the superblock's time")
		return t.finish(payload, t.b.signature, nil)
	}
	text, at, err := t.editText("version", "compatible")
	if err != nil {
		return err
	}
	t.changed("lowest bit of byte %d of the manifest, in its value of version or compatible", at)
	sig, err := t.b.message.WithContent(text)
	return t.finish(t.payload(), sig, err)
}

// editText flips the last character of the first of keys that the manifest has.
func (t *tampering) editText(keys ...string) ([]byte, int, error) {
	text := bytes.Clone(t.b.message.Content)
	for _, key := range keys {
		at := bytes.Index(text, []byte("\n"+key+"="))
		if at < 0 {
			continue
		}
		end := at + 1 + bytes.IndexByte(append(text[at+1:len(text):len(text)], '\n'), '\n')
		if last := end - 1; text[last] != '=' {
			text[last] ^= 1
			return text, last, nil
		}
	}
	return nil, 0, notApplicable("the manifest has none of %s", strings.Join(keys, ", "))
}

func (t *tampering) signatureFlip() error {
	for _, r := range t.b.message.Covered {
		if r.Name == "signature of signer 1" {
			sig, at := bytes.Clone(t.b.signature), r.Offset+r.Size-1
			sig[at] ^= 1
			t.changed("lowest bit of the signature byte at offset %d", t.b.payload+at)
			return t.finish(t.payload(), sig, nil)
		}
	}
	return notApplicable("nobody signed")
}

func (t *tampering) treeFlip() error {
	if t.b.Kind() == Plain {
		return notApplicable("a plain bundle has no hash tree")
	}
	payload := t.payload()
	at := t.b.dataSize() + 5
	payload[at] ^= 1
	t.changed("lowest bit of the hash tree's byte at offset %d", at)
	return t.finish(payload, t.b.signature, nil)
}

func (t *tampering) unsigned() error {
	t.changed("signature of %d bytes at offset %d removed", len(t.b.signature), t.b.payload)
	t.repaired("signature size")
	return t.finish(t.payload(), nil, nil)
}

// downgrade takes the manifest out of the signature: a reader that goes by its presence now
// treats the bundle as plain.
func (t *tampering) downgrade() error {
	if t.b.Kind() == Plain {
		return notApplicable("it is plain already")
	}
	t.changed("manifest of %d bytes taken out of the signature", len(t.b.message.Content))
	t.repaired("lengths in the signature", "signature size")
	sig, err := t.b.message.WithoutContent()
	return t.finish(t.payload(), sig, err)
}

func (t *tampering) confusion() error {
	to := "sha384"
	if t.b.message.Signers[0].Digest == to {
		to = "sha512"
	}
	if kind := t.b.message.Signers[0].Signature; kind == "rsa-pss" || kind == "ed25519" {
		t.out.Manifest.Reason = format.ErrAlgorithm
	}
	t.changed("digest algorithm renamed from %s to %s", t.b.message.Signers[0].Digest, to)
	t.repaired("list of digest algorithms", "name of the signature algorithm")
	sig, err := t.b.message.WithDigest(to)
	return t.finish(t.payload(), sig, err)
}

func (t *tampering) cut(n int64, what string) error {
	t.changed("cut after %d bytes, %s", n, what)
	t.out.Bytes = t.raw[:n:n]
	return nil
}

func (t *tampering) truncatedHeader() error  { return t.cut(64, "in the superblock") }
func (t *tampering) truncatedPayload() error { return t.cut(t.b.payload/2+100, "in the payload") }
func (t *tampering) empty() error            { return t.cut(0, "at the beginning") }
func (t *tampering) truncatedSignature() error {
	t.changed("last 64 bytes of the signature removed")
	t.repaired("signature size")
	return t.finish(t.payload(), t.b.signature[:len(t.b.signature)-64], nil)
}

// oversize adds payload behind what was signed, as an attacker of CVE-2026-34155 does
// with 4 GiB of it; see Overlong.
func (t *tampering) oversize() error {
	t.changed("a block of zeros at offset %d, behind the payload that was signed", t.b.payload)
	payload := append(t.payload(), make([]byte, blockSize)...)
	t.out.Manifest.Reason = format.ErrBadHash
	if t.b.Kind() != Plain {
		t.out.Manifest.Expected, t.out.Manifest.Classic = "the hash tree is not where verity-size says", ""
		t.misplaced(payload)
	}
	return t.finish(payload, t.b.signature, nil)
}

// misplaced says where a payload of another size is noticed under the genuine manifest: by
// the size of the tree, which data of that size may not have, else by its root.
func (t *tampering) misplaced(payload []byte) {
	t.out.Manifest.Layer, t.out.Manifest.Reason = format.LayerHash, format.ErrBadHash
	if t.b.manifest.checkTree(int64(len(payload))) != nil {
		t.out.Manifest.Layer, t.out.Manifest.Reason = format.LayerStructure, format.ErrMalformed
	}
}

func (t *tampering) trailing() error {
	t.changed("16 zero bytes appended at offset %d", len(t.raw))
	t.out.Bytes = append(bytes.Clone(t.raw), make([]byte, 16)...)
	return nil
}

func (t *tampering) lengthLie() error {
	t.changed("signature size at offset %d is 2^63", len(t.raw)-tailSize)
	t.out.Bytes = bytes.Clone(t.raw)
	binary.BigEndian.PutUint64(t.out.Bytes[len(t.raw)-tailSize:], 1<<63)
	return nil
}

func (t *tampering) duplicateEntry() error {
	if t.b.Kind() == Plain {
		return notApplicable("the manifest of a plain bundle lies in its squashfs")
	}
	text := bytes.Replace(t.b.message.Content, []byte("[update]\n"), []byte("[update]\ncompatible=Another\n"), 1)
	if bytes.Equal(text, t.b.message.Content) {
		return notApplicable("the manifest has no group [update]")
	}
	t.changed("key compatible a second time, first in its group")
	t.repaired("lengths in the signature", "signature size")
	sig, err := t.b.message.WithContent(text)
	return t.finish(t.payload(), sig, err)
}

// mixAndMatch keeps the signature and takes the payload of another release.
func (t *tampering) mixAndMatch() error {
	if t.means.Older == nil {
		return notApplicable("needs an older bundle of the maker")
	}
	other, err := parse(*t.means.Older)
	if err != nil {
		return err
	}
	payload, err := other.source.Bytes(0, other.payload)
	if err != nil {
		return err
	}
	if bytes.Equal(payload, t.raw[:t.b.payload]) {
		return notApplicable("both releases have the same payload")
	}
	t.changed("payload of the other release")
	t.repaired("signature size")
	t.out.Manifest.Reason = format.ErrBadHash
	if t.b.Kind() != Plain {
		t.misplaced(payload)
	}
	return t.finish(payload, t.b.signature, nil)
}

func (t *tampering) swapped() error {
	if err := t.tamperedPlain(); err != nil {
		return err
	}
	t.out.Files = map[string][]byte{format.FileFirst: t.raw, format.FileSecond: t.out.Bytes}
	t.out.Bytes = nil
	t.out.Manifest.Layer = format.LayerPayload
	return nil
}
