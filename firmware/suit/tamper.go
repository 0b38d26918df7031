package suit

import (
	"bytes"
	"fmt"

	"assay/firmware/format"
)

// A recipe makes one variant.
type recipe struct {
	variant  string
	layer    format.Layer
	reason   error
	expected string
	classic  string
	make     func(*work) error
}

// work is one variant in the making.
type work struct {
	img      *Image
	means    format.Means
	d        *draft
	m        *format.Manifest
	out      []byte            // where the draft cannot say it
	files    map[string][]byte // of a pair
	artifact []byte            // a payload beside the envelope
	device   *format.Device
}

func recipes() []recipe {
	return append(append(contentRecipes(), blockRecipes()...), append(genuineRecipes(), structureRecipes()...)...)
}

func contentRecipes() []recipe {
	return []recipe{
		{format.Tampered, format.LayerSignature, format.ErrBadSignature, "The SUIT_Digest fits; no authentication block is over it.", "", (*work).tampered},
		{format.TamperedPlain, format.LayerPayload, format.ErrBadHash, "suit-condition-image-match fails.", "", (*work).tamperedPlain},
		{format.HeaderFlip, format.LayerSignature, format.ErrBadSignature, "The SUIT_Digest fits; no authentication block is over it.", "", (*work).headerFlip},
		{format.DigestUnchecked, format.LayerHash, format.ErrBadHash, "The authentication block is genuine; the manifest does not have the digest that it signs.",
			"RFC 9124 REQ.SEC.AUTHENTIC", (*work).digestUnchecked},
		{format.SeveredReplaced, format.LayerPayload, format.ErrBadHash, "The severable member does not have the digest that the manifest holds.", "", (*work).severedReplaced},
		{format.SeveredMissing, format.LayerPayload, format.ErrNotBound, "What the update procedure needs is not there.", "", (*work).severedMissing},
		{format.TruncatedPayload, format.LayerPayload, format.ErrBadHash, "The payload is shorter than suit-parameter-image-size.", "", (*work).truncatedPayload},
		{format.MixAndMatch, format.LayerPayload, format.ErrBadHash, "The payload is genuine, of another release.", "", (*work).mixAndMatch},
		{format.Swapped, format.LayerPayload, format.ErrBadHash, "The first is genuine; what is used must be what was checked.",
			"RFC 9124 THREAT.MFST.TOCTOU", (*work).swapped},
	}
}

func blockRecipes() []recipe {
	return []recipe{
		{format.SignatureFlip, format.LayerSignature, format.ErrBadSignature, "The signature does not fit.", "", (*work).signatureFlip},
		{format.Unsigned, format.LayerSignature, format.ErrUnsigned, "The wrapper holds a digest and no authentication block.", "RFC 9124 REQ.SEC.AUTHENTIC", (*work).unsigned},
		{format.UnsignedBare, format.LayerSignature, format.ErrUnsigned, "There is no authentication wrapper.", "RFC 9124 REQ.SEC.AUTHENTIC", (*work).unsignedBare},
		{format.WrongKey, format.LayerTrust, format.ErrBadSignature, "The block is a stranger's, and carries the stranger's certificate.", "", func(w *work) error { return w.wrongKey(false) }},
		{format.WrongKeyForged, format.LayerTrust, format.ErrBadSignature, "The block is a stranger's under the maker's key id.", "", func(w *work) error { return w.wrongKey(true) }},
		{format.AlgorithmConfusion, format.LayerTrust, format.ErrAlgorithm, "The block is a MAC keyed with the maker's public key.", "CVE-2015-9235", (*work).confused},
		{format.AlgorithmNone, format.LayerTrust, format.ErrAlgorithm, "The block names the reserved algorithm 0.", "", (*work).algorithmNone},
		{format.AlgorithmUnprotected, format.LayerTrust, format.ErrAlgorithm, "The algorithm is not in the protected headers.", "", (*work).algorithmUnprotected},
		{format.UnknownCritical, format.LayerTrust, format.ErrAlgorithm, "crit names a header that nobody knows.", "", (*work).unknownCritical},
		{format.AttachedPayload, format.LayerTrust, format.ErrNotBound, "The block signs the digest that it carries, not the one in the wrapper.", "", (*work).attachedPayload},
		{format.WeakAlgorithm, format.LayerTrust, format.ErrWeak, "The signed digest is SHA-256 cut to 64 bits.", "", (*work).weakDigest},
		{format.TruncatedSignature, format.LayerSignature, format.ErrBadSignature, "The signature lacks its last byte.", "", (*work).truncatedSignature},
	}
}

func genuineRecipes() []recipe {
	return []recipe{
		{format.Older, format.LayerFreshness, format.ErrRollback, "The sequence number is lower than the one installed.", "RFC 9124 REQ.SEC.SEQUENCE", (*work).older},
		{format.OtherProduct, format.LayerIdentity, format.ErrWrongDevice, "suit-condition-vendor-identifier fails.", "RFC 9124 REQ.SEC.COMPATIBLE", (*work).otherProduct},
		{format.OtherHardware, format.LayerIdentity, format.ErrWrongDevice, "suit-condition-class-identifier fails.", "RFC 9124 REQ.SEC.COMPATIBLE", (*work).otherHardware},
		{format.Oversize, format.LayerResources, format.ErrTooLarge, "The image is larger than the slot.", "", (*work).oversize},
		{format.UnknownVersion, format.LayerStructure, format.ErrMalformed, "The manifest version is 2.", "", (*work).unknownVersion},
	}
}

func structureRecipes() []recipe {
	return []recipe{
		{format.TruncatedHeader, format.LayerStructure, format.ErrMalformed, "The file ends within the manifest.", "", (*work).truncatedHeader},
		{format.Empty, format.LayerStructure, format.ErrMalformed, "The file is empty.", "", func(w *work) error { w.out = []byte{}; return w.say("everything removed") }},
		{format.TrailingData, format.LayerStructure, format.ErrTrailing, "Bytes follow the envelope.", "", (*work).trailing},
		{format.LengthLie, format.LayerStructure, format.ErrMalformed, "The manifest claims more bytes than the file has.", "CVE-2020-28491", (*work).lengthLie},
		{format.DuplicateEntry, format.LayerStructure, format.ErrMalformed, "The envelope has two manifests; the last is genuine.", "CVE-2017-12635", (*work).duplicate},
		{format.AmbiguousEncoding, format.LayerStructure, format.ErrMalformed, "The envelope is a map of indefinite length.", "", (*work).indefinite},
		{format.DeepNesting, format.LayerResources, format.ErrMalformed, "An unprotected header holds 10,000 nested arrays.", "", (*work).nested},
	}
}

func variants() []string {
	var names []string
	for _, v := range format.Variants() {
		for _, r := range recipes() {
			if r.variant == v {
				names = append(names, v)
			}
		}
	}
	return names
}

// Tamper makes a variant that a good device refuses. Digests and lengths around the
// change are repaired, so that only what the variant is about can catch it.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v, err := img.tamper(variant, means)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of suit manifest %d: %w", variant, img.manifest.sequence, err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means) (format.Variant, error) {
	for _, r := range recipes() {
		if r.variant != variant {
			continue
		}
		if len(img.blocks) == 0 {
			return format.Variant{}, format.Wrap(format.ErrNotApplicable, "it is not signed")
		}
		d, err := img.draft()
		if err != nil {
			return format.Variant{}, err
		}
		w := &work{img: img, means: means, d: d, m: &format.Manifest{
			Format: Name, Variant: variant, Layer: r.layer, Reason: r.reason, Expected: r.expected, Classic: r.classic,
		}}
		if err := r.make(w); err != nil {
			return format.Variant{}, err
		}
		return w.finish()
	}
	return format.Variant{}, format.ErrUnknownVariant
}

func (w *work) finish() (format.Variant, error) {
	w.m.Device = w.device
	if w.artifact != nil {
		w.files = map[string][]byte{format.FileSignature: w.d.bytes(), format.FileArtifact: w.artifact}
	}
	if w.files != nil {
		return format.Variant{Files: w.files, Manifest: *w.m}, nil
	}
	if w.out == nil {
		w.out = w.d.bytes()
	}
	genuine, err := w.img.src.Whole(w.img.src.Size())
	if err != nil {
		return format.Variant{}, err
	}
	at := 0
	for at < min(len(genuine), len(w.out)) && genuine[at] == w.out[at] {
		at++
	}
	if bytes.Equal(genuine, w.out) {
		return format.Variant{}, format.Wrap(format.ErrNotApplicable, "nothing would change")
	}
	w.m.Changed[0] += fmt.Sprintf(" (first difference at offset %d)", at)
	return format.Variant{Bytes: w.out, Manifest: *w.m}, nil
}

func (w *work) say(changed string, args ...any) error {
	w.m.Changed = append(w.m.Changed, fmt.Sprintf(changed, args...))
	return nil
}

func (w *work) repaired(what ...string) { w.m.Repaired = append(w.m.Repaired, what...) }

// redigest repairs the SUIT_Digest.
func (w *work) redigest() error {
	w.repaired("SUIT_Digest", "lengths")
	return w.d.redigest()
}

// resign signs what the draft has become with the maker's key.
func (w *work) resign() error {
	if w.means.Signer == nil {
		return format.Wrap(format.ErrNotApplicable, "needs the maker's signing key")
	}
	if w.img.blocks[0].tag == tagMac0 {
		return format.Wrap(format.ErrNotApplicable, "it is authenticated by a MAC, whose secret a signing key does not replace")
	}
	if err := w.redigest(); err != nil {
		return err
	}
	return w.sign()
}

func (w *work) sign() error {
	blk, err := signBlock(w.d.digest, w.means.Signer, w.keyID(), w.specific())
	w.d.blocks = [][]byte{blk}
	w.repaired("signature, by the maker's key")
	return err
}

// keyID is the maker's, where the image names one.
func (w *work) keyID() []byte {
	if len(w.img.blocks[0].signers) == 0 {
		return nil
	}
	h := w.img.blocks[0].signers[0].headers
	for _, m := range []map[any]rawItem{h.protected, h.open} {
		if id, err := asBytes(m[labelKeyID]); err == nil {
			return id
		}
	}
	return nil
}

func (w *work) algorithm() int64 {
	if len(w.img.blocks[0].signers) == 0 {
		return algES256
	}
	alg, err := w.img.blocks[0].signers[0].algorithm()
	if err != nil {
		return algES256
	}
	return alg
}

// specific tells whether the image names its algorithm as RFC 9864 does.
func (w *work) specific() bool {
	switch w.algorithm() {
	case algES256, algES384, algES512, algEdDSA:
		return false
	}
	return true
}
