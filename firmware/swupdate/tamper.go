package swupdate

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"

	"assay/firmware/cms"
	"assay/firmware/format"
)

func variants() []string {
	return []string{
		format.Tampered, format.TamperedPlain, format.TamperedSum, format.HeaderFlip, format.SignatureFlip, format.TrailerFlip,
		format.Unsigned, format.DuplicateSignature, format.WrongKey, format.WrongKeyForged, format.SelfMadeChain,
		format.ExpiredCertificate, format.WrongPurpose, format.AlgorithmConfusion, format.WeakAlgorithm,
		format.Older, format.OtherProduct, format.OtherHardware,
		format.TruncatedHeader, format.TruncatedPayload, format.TruncatedSignature, format.Empty, format.Oversize,
		format.TrailingData, format.LengthLie, format.DuplicateEntry, format.UnsignedExtra, format.PathEscape,
		format.MixAndMatch, format.Swapped,
	}
}

// Tamper makes a variant of the archive that a good device refuses. Cpio headers are
// written anew where members change; their modes and times mean nothing to SWUpdate.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v := format.Variant{Manifest: format.Manifest{Format: name, Variant: variant}}
	if err := img.tamper(variant, means, &v); err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of swupdate archive %.100q: %w", variant, img.Version(), err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means, v *format.Variant) error {
	if !slices.Contains(variants(), variant) {
		return format.ErrUnknownVariant
	}
	if img.sig == nil {
		return format.Wrap(format.ErrNotApplicable, "it is not signed")
	}
	if img.sealed != "" {
		return format.Wrap(format.ErrNotApplicable, "%s is encrypted", descriptionName)
	}
	if variant == format.Swapped {
		return img.swap(v)
	}
	b, err := img.edit(variant, means, &v.Manifest)
	v.Bytes = b
	return err
}

func (img *Image) edit(variant string, means format.Means, m *format.Manifest) ([]byte, error) {
	switch variant {
	case format.Tampered, format.TamperedSum:
		return img.flipImage(m, variant == format.Tampered)
	case format.HeaderFlip:
		return img.flipDescription(m)
	case format.SignatureFlip, format.TruncatedSignature:
		return img.spoilSignature(m, variant == format.SignatureFlip)
	case format.Unsigned:
		says(m, format.LayerSignature, format.ErrUnsigned, "the device has a key and the archive no %s", signatureName)
		return img.rewrite(m, func(w *work) error { w.files = slices.Delete(w.files, 1, 2); return nil }, signatureName+" removed")
	case format.DuplicateSignature, format.WrongKey, format.WrongKeyForged, format.SelfMadeChain:
		return img.foreign(variant, m, means)
	case format.ExpiredCertificate, format.WrongPurpose:
		return img.badCertificate(m, means, variant == format.ExpiredCertificate)
	case format.AlgorithmConfusion:
		return img.confuse(m)
	case format.WeakAlgorithm:
		return img.weak(m, means)
	case format.Older, format.OtherProduct, format.OtherHardware, format.Oversize, format.UnsignedExtra:
		return img.genuine(variant, m, means)
	case format.DuplicateEntry, format.PathEscape, format.MixAndMatch:
		return img.extraMember(variant, m, means)
	}
	return img.spoilArchive(variant, m)
}

// says fills in where and why a good device refuses.
func says(m *format.Manifest, layer format.Layer, reason error, text string, args ...any) {
	m.Layer, m.Reason, m.Expected = layer, reason, fmt.Sprintf(text, args...)
}

// work is an archive while it is changed: sw-description, its signature, the rest.
type work struct {
	magic string
	files []File
}

func (img *Image) work() (*work, error) {
	w := &work{magic: magicNew}
	if img.members[0].crc {
		w.magic = magicCRC
	}
	for _, m := range img.members {
		b, err := img.in.Bytes(m.at, m.size)
		if err != nil {
			return nil, err
		}
		w.files = append(w.files, File{m.name, b})
	}
	return w, nil
}

// rewrite edits the members and writes the archive again, with sums that fit.
func (img *Image) rewrite(m *format.Manifest, edit func(w *work) error, changed ...string) ([]byte, error) {
	w, err := img.work()
	if err != nil {
		return nil, err
	}
	if err := edit(w); err != nil {
		return nil, err
	}
	m.Changed = append(m.Changed, changed...)
	m.Repaired = append(m.Repaired, "sizes and sums of the cpio headers")
	return archive(w.magic, w.files), nil
}

// largest is the largest file that sw-description has a hash for.
func (w *work) largest(img *Image) (int, error) {
	best := -1
	for i, f := range w.files {
		if _, named := img.description.hashes[f.Name]; named && len(f.Data) > 0 && (best < 0 || len(f.Data) > len(w.files[best].Data)) {
			best = i
		}
	}
	if best < 0 {
		return 0, format.Wrap(format.ErrNotApplicable, "no file with a hash has anything in it")
	}
	return best, nil
}

// replace changes sw-description.
func (w *work) replace(old, new string) error {
	at := bytes.Index(w.files[0].Data, []byte(old))
	if at < 0 {
		return format.Wrap(format.ErrNotApplicable, "%s does not write %.80q as expected", descriptionName, old)
	}
	w.files[0].Data = bytes.Replace(w.files[0].Data, []byte(old), []byte(new), 1)
	return nil
}

// rehash gives file i in sw-description the hash that it now has.
func (w *work) rehash(m *format.Manifest, img *Image, i int) error {
	old := img.description.hashes[w.files[i].Name]
	at := bytes.Index(bytes.ToLower(w.files[0].Data), []byte(hex.EncodeToString(old[:])))
	if at < 0 {
		return format.Wrap(format.ErrNotApplicable, "the hash of %s is not written out in %s", w.files[i].Name, descriptionName)
	}
	sum := sha256.Sum256(w.files[i].Data)
	text := bytes.Clone(w.files[0].Data)
	written := text[at : at+64]
	w.files[0].Data = bytes.ReplaceAll(text, bytes.Clone(written), []byte(hex.EncodeToString(sum[:])))
	m.Repaired = append(m.Repaired, "sha256 of "+w.files[i].Name+" in "+descriptionName)
	return nil
}

// misfit is what a verifier says of a genuine signature over another sw-description: with
// signed attributes it is their digest that does not fit.
func (img *Image) misfit() error {
	if img.message != nil && len(img.message.Signers) > 0 && img.message.Signers[0].Attributes {
		return format.ErrBadHash
	}
	return format.ErrBadSignature
}

func (img *Image) flipImage(m *format.Manifest, rehash bool) ([]byte, error) {
	if !rehash && !img.members[0].crc {
		return nil, format.Wrap(format.ErrNotApplicable, "the container has no sums")
	}
	says(m, format.LayerPayload, format.ErrBadHash, "a file does not have the sha256 that sw-description gives it")
	return img.rewrite(m, func(w *work) error {
		i, err := w.largest(img)
		if err != nil {
			return err
		}
		at := format.Harmless(w.files[i].Data)
		w.files[i].Data[at] ^= 1
		where, _ := img.member(w.files[i].Name)
		m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of byte %d of %s, at offset %d", at, w.files[i].Name, where.at+int64(at)))
		if !rehash {
			return nil
		}
		says(m, format.LayerSignature, img.misfit(), "%s does not fit the repaired %s", signatureName, descriptionName)
		return w.rehash(m, img, i)
	})
}

// flipDescription changes one bit of the version.
func (img *Image) flipDescription(m *format.Manifest) ([]byte, error) {
	says(m, format.LayerSignature, img.misfit(), "%s does not fit %s", signatureName, descriptionName)
	return img.rewrite(m, func(w *work) error { return img.otherVersion(m, w) })
}

func (img *Image) otherVersion(m *format.Manifest, w *work) error {
	text, version := w.files[0].Data, img.Version()
	start := bytes.Index(text, []byte(`"`+version+`"`)) + 1
	for i := start; start > 0 && i < start+len(version); i++ {
		if c := text[i] ^ 1; (isLetter(c) || isDigit(c)) && (isLetter(text[i]) || isDigit(text[i])) {
			text[i] = c
			m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of byte %d of %s, at offset %d", i, descriptionName, img.members[0].at+int64(i)))
			return nil
		}
	}
	return format.Wrap(format.ErrNotApplicable, "the version has no letter to change")
}

func (img *Image) spoilSignature(m *format.Manifest, flip bool) ([]byte, error) {
	sig := bytes.Clone(img.rawSig)
	if len(sig) < 64 || img.message != nil && (len(img.message.Signers) != 1 || img.message.Signers[0].Unsigned > 0) {
		return nil, format.Wrap(format.ErrNotApplicable, "the signature is not where it usually is")
	}
	at := len(sig) - 8 // the signature value ends a message
	changed := fmt.Sprintf("lowest bit of byte %d of %s, at offset %d", at, signatureName, img.sig.at+int64(at))
	says(m, format.LayerSignature, format.ErrBadSignature, "%s does not fit %s", signatureName, descriptionName)
	if flip {
		sig[at] ^= 1
	} else {
		sig = sig[:len(sig)/2]
		changed = fmt.Sprintf("%s cut to its first %d bytes", signatureName, len(sig))
	}
	return img.rewrite(m, func(w *work) error { w.files[1].Data = sig; return nil }, changed)
}

// stranger is an identity that looks like the signer's.
func (img *Image) stranger(means format.Means) (Identity, []*x509.Certificate, error) {
	if img.pgp {
		return Identity{}, nil, format.Wrap(format.ErrNotApplicable, "no OpenPGP signatures are made here")
	}
	if img.message == nil {
		key, err := cms.FreshKey(fmt.Sprintf("rsa-%d", 8*len(img.rawSig)))
		if err != nil {
			return Identity{}, nil, format.Wrap(format.ErrNotApplicable, "%v", err)
		}
		return Identity{Key: key}, nil, nil
	}
	id, above, err := cms.Lookalike(img.chain(means))
	if err != nil {
		return Identity{}, nil, format.Wrap(format.ErrNotApplicable, "%v", err)
	}
	return Identity{Key: id.Key, Chain: []*x509.Certificate{id.Certificate}}, above, nil
}

// foreign signs sw-description as it is with a fresh key.
func (img *Image) foreign(variant string, m *format.Manifest, means format.Means) ([]byte, error) {
	id, above, err := img.stranger(means)
	if err != nil {
		return nil, err
	}
	changed := signatureName + " made by a fresh key"
	says(m, format.LayerSignature, format.ErrBadSignature, "%s is not one of the device's key", signatureName)
	if img.message != nil {
		changed += ", with a certificate of the maker's names"
		says(m, format.LayerTrust, format.ErrChain, "the signer's certificate does not lead to the device's root")
	}
	switch {
	case variant == format.DuplicateSignature:
		changed = "a second " + signatureName + " before the genuine one, made by a fresh key"
		says(m, format.LayerStructure, format.ErrMalformed, "%s comes twice", signatureName)
	case variant != format.WrongKey && img.message == nil:
		return nil, format.Wrap(format.ErrNotApplicable, "a raw signature names no key")
	case variant == format.WrongKeyForged:
		id.Chain = img.chain(means)
		changed = signatureName + " made by a fresh key under the maker's certificate"
		says(m, format.LayerSignature, format.ErrBadSignature, "%s is not one of the certificate that it names", signatureName)
	case variant == format.SelfMadeChain:
		// The whole chain comes along, its root too.
		return img.selfMade(m, id, above)
	}
	return img.rewrite(m, func(w *work) error {
		sig, err := id.sign(img.text, "")
		if err != nil {
			return format.Wrap(format.ErrNotApplicable, "%v", err)
		}
		if variant == format.DuplicateSignature {
			w.files = slices.Insert(w.files, 1, File{signatureName, sig})
			return nil
		}
		w.files[1].Data = sig
		return nil
	}, changed)
}

func (img *Image) selfMade(m *format.Manifest, id Identity, above []*x509.Certificate) ([]byte, error) {
	sig, err := cms.Sign(bytes.NewReader(img.text), cms.SignOptions{
		Signers: []cms.Identity{{Key: id.Key, Certificate: id.Chain[0]}}, Certificates: above, Detached: true,
	})
	if err != nil {
		return nil, err
	}
	return img.rewrite(m, func(w *work) error { w.files[1].Data = sig; return nil },
		signatureName+" made under a fresh authority of the maker's names, which comes along")
}

// maker is the maker's own identity.
func (img *Image) maker(means format.Means) (Identity, error) {
	id := Identity{Key: means.Signer}
	switch {
	case img.pgp:
		return id, format.Wrap(format.ErrNotApplicable, "no OpenPGP signatures are made here")
	case means.Signer == nil:
		return id, format.Wrap(format.ErrNotApplicable, "it needs the maker's key")
	case img.message != nil && len(means.Chain) == 0:
		return id, format.Wrap(format.ErrNotApplicable, "it needs the maker's certificate")
	case img.message != nil:
		id.Chain = means.Chain
	}
	if p, ok := means.Signer.Public().(interface{ Equal(crypto.PublicKey) bool }); len(id.Chain) > 0 && (!ok || !p.Equal(id.Chain[0].PublicKey)) {
		return id, format.Wrap(format.ErrNotApplicable, "the maker's certificate is not one of the maker's key")
	}
	if _, ok := means.Signer.Public().(*rsa.PublicKey); img.message == nil && !ok {
		return id, format.Wrap(format.ErrNotApplicable, "a raw signature is RSA, the key %T", means.Signer.Public())
	}
	return id, nil
}

// badCertificate signs with a certificate that the maker's own authority should not have issued.
func (img *Image) badCertificate(m *format.Manifest, means format.Means, expired bool) ([]byte, error) {
	if img.message == nil || means.Issuer == nil || len(means.Chain) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs a signature by certificate, the maker's certificate and its authority's key")
	}
	change, changed := cms.ForServers, "a certificate for TLS servers"
	says(m, format.LayerTrust, format.ErrPurpose, "the signer's certificate is for TLS servers")
	if expired {
		change, changed = cms.Expire, "an expired certificate"
		says(m, format.LayerTrust, format.ErrValidity, "the signer's certificate has expired; builds with CMS_IGNORE_EXPIRED_CERTIFICATE do not look")
	}
	id, err := cms.IssueLike(means.Chain[0], means.Issuer, change)
	if err != nil {
		return nil, err
	}
	own := Identity{Key: id.Key, Chain: append([]*x509.Certificate{id.Certificate}, means.Chain[1:]...)}
	sig, err := own.sign(img.text, "")
	if err != nil {
		return nil, err
	}
	return img.rewrite(m, func(w *work) error { w.files[1].Data = sig; return nil }, signatureName+" made with "+changed+" under the maker's authority")
}

// confuse passes one form of signature off as another.
func (img *Image) confuse(m *format.Manifest) ([]byte, error) {
	if img.message != nil {
		sig, err := img.message.WithContent(img.text)
		if err != nil {
			return nil, format.Wrap(format.ErrNotApplicable, "%v", err)
		}
		says(m, format.LayerSignature, format.ErrNotBound, "%s vouches for what it carries itself, not for the %s beside it", signatureName, descriptionName)
		return img.rewrite(m, func(w *work) error {
			w.files[1].Data = sig
			return img.otherVersion(m, w)
		}, "the genuine "+descriptionName+" put into the message, another one beside it")
	}
	pki, err := cms.NewPKI(cms.PKIOptions{})
	if err != nil {
		return nil, err
	}
	sig, err := Identity{Key: pki.Signer.Key, Chain: pki.Chain()}.sign(img.text, "")
	if err != nil {
		return nil, err
	}
	says(m, format.LayerTrust, format.ErrNotVerified, "%s is CMS, the device checks signatures of another kind", signatureName)
	return img.rewrite(m, func(w *work) error { w.files[1].Data = sig; return nil }, signatureName+" is CMS by a fresh chain")
}

func (img *Image) weak(m *format.Manifest, means format.Means) ([]byte, error) {
	id, err := img.maker(means)
	if err != nil {
		return nil, err
	}
	says(m, format.LayerSignature, format.ErrAlgorithm, "the format signs SHA-256 only")
	if img.message != nil {
		says(m, format.LayerSignature, format.ErrWeak, "a signature over SHA-1 vouches for nothing")
	}
	return img.rewrite(m, func(w *work) error {
		sig, err := id.sign(img.text, "sha1")
		if err != nil {
			return format.Wrap(format.ErrNotApplicable, "the key does not sign SHA-1: %v", err)
		}
		w.files[1].Data = sig
		return nil
	}, signatureName+" made by the maker's key over SHA-1")
}
