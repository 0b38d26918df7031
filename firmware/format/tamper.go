package format

import (
	"crypto"
	"crypto/x509"
	"slices"
)

// Variants of an image that a good device refuses.
const (
	// Tampered has one payload byte changed and every unkeyed checksum repaired, so
	// that nothing but the signature can catch it: it separates the devices that
	// check a signature from those that check a sum.
	Tampered = "tampered"
	// TamperedPlain has one payload byte changed and nothing repaired.
	TamperedPlain = "tampered-plain"
	// TamperedSum has one payload byte changed and the sums of the outer container repaired, for devices
	// that check these and not the hash that the signature covers.
	TamperedSum = "tampered-sum"
	// HeaderPlain has the metadata changed and nothing repaired, for devices that check the payload alone.
	HeaderPlain = "header-plain"
	// HeaderFlip, SignatureFlip and TrailerFlip have one bit of that region changed, unkeyed checksums repaired.
	HeaderFlip    = "header-flip"
	SignatureFlip = "signature-flip"
	TrailerFlip   = "trailer-flip"
	// Unsigned has signature and key identification removed; the rest is consistent.
	Unsigned = "unsigned"
	// DuplicateSignature carries two signatures, a stranger's first, for devices that check one and use another.
	DuplicateSignature = "duplicate-signature"
	// BelowThreshold keeps fewer signatures than the role asks for.
	BelowThreshold = "below-threshold"
	// StrippedProof has the proof of a transparency log taken out.
	StrippedProof = "stripped-proof"
	// WrongKey is signed by a fresh key and consistent in itself: it names that key
	// and, where the format can, carries it, for devices that believe what the image brings along.
	WrongKey = "wrong-key"
	// WrongKeyForged is signed by a fresh key but still names the maker's, for
	// devices that stop at the name.
	WrongKeyForged = "wrong-key-forged-id"
	// SelfMadeChain is signed under a fresh certificate authority of the same names, which the image carries.
	SelfMadeChain = "self-made-chain"
	// ExpiredCertificate and WrongPurpose are signed by a certificate under the maker's own authority; they need its key.
	ExpiredCertificate = "expired-certificate"
	WrongPurpose       = "wrong-purpose"
	// AlgorithmConfusion names another or no algorithm, or keys a MAC with the public key.
	AlgorithmConfusion = "algorithm-confusion"
	// FormatDowngrade is the older, weaker form of the format, made of the genuine parts.
	FormatDowngrade = "format-downgrade"
	// ZeroSignature has r = s = 0, which some ECDSA verifiers take for anything (CVE-2022-21449).
	ZeroSignature = "zero-signature"
	// SaltLength is signed with the maker's key, but by RSA-PSS with another salt length than the format fixes.
	SaltLength = "salt-length"
	// WeakAlgorithm replaces a strong digest by a weak one that the format knows.
	WeakAlgorithm = "weak-algorithm"
	// Older, OtherProduct and OtherHardware are genuine, signed with the maker's key or the maker's own other image.
	Older         = "older"
	OtherProduct  = "other-product"
	OtherHardware = "other-hardware"
	// The cut and the blown-up.
	TruncatedHeader    = "truncated-header"
	TruncatedPayload   = "truncated-payload"
	TruncatedSignature = "truncated-signature"
	Empty              = "empty"
	Oversize           = "oversize"
	TrailingData       = "trailing-data"
	LengthLie          = "length-lie"
	DuplicateEntry     = "duplicate-entry" // a field or member twice, first and last differ
	DecompressionBomb  = "decompression-bomb"
	EndlessData        = "endless-data"
	// UnsignedExtra has something added that the signature does not cover, for devices that use whatever is there.
	UnsignedExtra = "unsigned-extra"
	// PathEscape has a member whose name leaves the folder it is unpacked to.
	PathEscape = "path-escape"
	// Freeze, MixAndMatch are metadata attacks: old and genuine, or parts of two releases.
	Freeze      = "freeze"
	MixAndMatch = "mix-and-match"
	// FakeRoot, NodeClone, UnitAddress and UnsignedDefault are those of device trees: a second root in front
	// of the real one, the signed nodes copied aside and the real ones changed, a name that libfdt takes for
	// another, an unsigned configuration made the default.
	FakeRoot        = "fake-root"
	NodeClone       = "node-clone"
	UnitAddress     = "unit-address"
	UnsignedDefault = "unsigned-default"
	// UnsignedBare lacks not only the signature but what would hold one.
	UnsignedBare = "unsigned-bare"
	// AlgorithmNone names no algorithm and carries an empty signature; AlgorithmUnprotected
	// names it where the signature does not cover it; UnknownCritical carries a header that
	// the signer says must be understood.
	AlgorithmNone        = "algorithm-none"
	AlgorithmUnprotected = "algorithm-unprotected"
	UnknownCritical      = "unknown-critical"
	// AttachedPayload has a genuine signature of something else that it carries along.
	AttachedPayload = "attached-payload"
	// DigestUnchecked has metadata changed under a genuine signature of the old digest.
	DigestUnchecked = "digest-unchecked"
	// SeveredReplaced and SeveredMissing have a part replaced or cut off whose digest is signed.
	SeveredReplaced = "severed-replaced"
	SeveredMissing  = "severed-missing"
	// UnknownVersion is genuine, in a version of the format that the device cannot know.
	UnknownVersion = "unknown-version"
	// AmbiguousEncoding says the same in an encoding that readers may take in two ways.
	AmbiguousEncoding = "ambiguous-encoding"
	// DeepNesting is nested deeper than a device has stack.
	DeepNesting = "deep-nesting"
	// Swapped is a pair: the genuine image while it is checked, another while it is used.
	Swapped = "toctou"
)

// Variants lists all variants.
func Variants() []string {
	return []string{
		Tampered, TamperedPlain, TamperedSum, HeaderPlain, HeaderFlip, SignatureFlip, TrailerFlip, Unsigned,
		DuplicateSignature, BelowThreshold, StrippedProof, WrongKey, WrongKeyForged, SelfMadeChain, ExpiredCertificate,
		WrongPurpose, AlgorithmConfusion, FormatDowngrade, ZeroSignature, SaltLength, WeakAlgorithm, Older,
		OtherProduct, OtherHardware, TruncatedHeader, TruncatedPayload, TruncatedSignature, Empty, Oversize,
		TrailingData, LengthLie, DuplicateEntry, DecompressionBomb, EndlessData, UnsignedExtra, PathEscape, Freeze,
		MixAndMatch, FakeRoot, NodeClone, UnitAddress, UnsignedDefault, UnsignedBare, AlgorithmNone,
		AlgorithmUnprotected, UnknownCritical, AttachedPayload, DigestUnchecked, SeveredReplaced, SeveredMissing,
		UnknownVersion, AmbiguousEncoding, DeepNesting, Swapped,
	}
}

// InOrder puts the variants of one format in the order of Variants.
func InOrder(own ...string) []string {
	return slices.DeleteFunc(Variants(), func(v string) bool { return !slices.Contains(own, v) })
}

// Means is what Tamper may use beside the image.
type Means struct {
	Signer crypto.Signer       // the maker's signing key; nil: what needs it does not apply
	Chain  []*x509.Certificate // its certificate first, where the format signs by certificate
	Issuer crypto.Signer       // the key of the authority that issued Chain[0], for bad certificates under it
	Older  *Source             // a genuine older image of the maker
	Sister *Source             // a genuine image of another product of the maker
}

// A Layer is where a good device refuses an image.
type Layer string

// The layers, in the order in which a good device comes to them.
const (
	LayerStructure Layer = "structure" // parsing
	LayerHash      Layer = "hash"      // unkeyed checksums
	LayerTrust     Layer = "trust"     // choice of the key, chain, purpose, validity
	LayerSignature Layer = "signature" // the signature itself
	LayerPayload   Layer = "payload"   // hashes that the signature covers
	LayerFreshness Layer = "freshness" // version, counter, expiry
	LayerIdentity  Layer = "identity"  // made for another device
	LayerResources Layer = "resources" // size, time, memory
)

// The names of Files where a variant is not one file: a signature beside its artifact, or a
// pair of which the first is served while the device checks and the second while it installs.
const (
	FileSignature = "signature"
	FileArtifact  = "artifact"
	FileFirst     = "first"
	FileSecond    = "second"
)

// A Variant is one image that a good device refuses, and how it was made.
type Variant struct {
	Bytes    []byte            // the image; nil where Files
	Files    map[string][]byte // of a folder, of a pair (first, second), of a signature beside its artifact
	Manifest Manifest
}

// A Manifest tells how a variant differs from the genuine image.
type Manifest struct {
	Format   string   `json:"format"`
	Variant  string   `json:"variant"`
	Changed  []string `json:"changed"`            // what was changed, with offsets
	Repaired []string `json:"repaired,omitempty"` // checksums and lengths that were made consistent again
	Layer    Layer    `json:"layer"`              // where a good device refuses it
	Expected string   `json:"expected"`           // why, one sentence in the words of the format
	Classic  string   `json:"classic,omitempty"`  // the known weakness that it re-enacts: CVE-2020-10648
	Reason   error    `json:"-"`                  // the sentinel that our own Verify answers with, or Check where Device is set
	Device   *Device  `json:"device,omitempty"`   // genuine: only a device like this one refuses it
}

// Say fills in where and why a good device refuses the variant, and what was changed.
func (m *Manifest) Say(layer Layer, reason error, expected string, changed ...string) {
	m.Layer, m.Reason, m.Expected = layer, reason, expected
	m.Changed = append(m.Changed, changed...)
}

// Made tells why a format, whose variants are own, makes no such variant; nil: it does.
func Made(variant string, own []string) error {
	switch {
	case slices.Contains(own, variant):
		return nil
	case slices.Contains(Variants(), variant):
		return Wrap(ErrNotApplicable, "the format has no such thing")
	}
	return ErrUnknownVariant
}
