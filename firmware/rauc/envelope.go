package rauc

import (
	"crypto/rsa"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// verifyEnveloped opens the signature with a recipient's key, which Trust.Recipients may
// hold as a PKCS #8 private key (PEM or DER), and verifies what was inside like any other.
func (b *Bundle) verifyEnveloped(trust format.Trust, report *format.Report) error {
	opened, err := b.open(trust.Recipients)
	if err != nil {
		return err
	}
	if opened.message.Detached {
		return format.Wrap(format.ErrNotBound, "the encrypted signature carries no manifest")
	}
	report.Image = opened.Describe()
	if err := opened.verify(trust, report); err != nil {
		return err
	}
	b.manifest = opened.manifest // now Check can read it
	return nil
}

// open is the bundle with its signature in clear. Its regions lie within the signature that
// was decrypted, not in the file.
func (b *Bundle) open(anchors []format.Anchor) (*Bundle, error) {
	var keys []*rsa.PrivateKey
	for _, a := range anchors {
		key, err := cms.RecipientKey(a)
		if err != nil {
			return nil, err
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, format.Wrap(format.ErrEncrypted, "the signature is encrypted for recipients, and no recipient's key was given")
	}
	plain, err := cms.OpenEnvelope(b.signature, keys)
	if err != nil {
		return nil, err
	}
	opened := *b
	opened.enveloped, opened.unwrapped = false, true
	if opened.message, err = cms.Parse(plain); err != nil {
		return nil, err
	}
	if opened.message.Detached {
		return &opened, nil
	}
	return &opened, opened.readOuter()
}
