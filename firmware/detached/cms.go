package detached

import (
	"bytes"
	"encoding/pem"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// cmsFile is detached CMS SignedData (PKCS#7), DER or PEM.
type cmsFile struct {
	*cms.Message
	der []byte
	pem bool
	ber bool // as written; der is what was read
}

// maxCMS leaves room for content that does not belong there, so that it can be named.
const maxCMS = 16 << 20

func cmsFormat() format.Format {
	return format.Format{
		Name:   "cms",
		Detect: func(in format.Input) bool { head := in.Head(64); return cms.Looks(head) || pemCMS(head) },
		OpenUnverified: func(in format.Input) (format.Image, error) {
			return open(in, "cms", parseCMS)
		},
		Variants: variants(cmsVariants...),
	}
}

func pemCMS(head []byte) bool {
	head = bytes.TrimSpace(head)
	return bytes.HasPrefix(head, []byte("-----BEGIN CMS-----")) || bytes.HasPrefix(head, []byte("-----BEGIN PKCS7-----"))
}

func parseCMS(in format.Input, _ *Image) (scheme, error) {
	if in.Size() < 16 {
		return nil, format.Malformed("too short for CMS")
	}
	b, err := in.Whole(maxCMS)
	if err != nil {
		return nil, err
	}
	s := &cmsFile{der: b, pem: pemCMS(b)}
	if s.pem {
		block, rest := pem.Decode(b)
		if block == nil || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
			return nil, format.Malformed("not exactly one PEM block")
		}
		s.der = block.Bytes
	}
	if s.der, s.ber, err = cms.FromBER(s.der); err != nil {
		return nil, err
	}
	s.Message, err = cms.Parse(s.der)
	return s, err
}

func (s *cmsFile) describe(f *format.Facts) {
	f.Signature, f.KeyHint = s.Signature(), s.KeyHint()
	if s.pem {
		f.Uncovered = append(f.Uncovered, format.Region{Name: "PEM around the message", Size: f.Size})
	}
	if s.ber {
		f.Uncovered = append(f.Uncovered, format.Region{Name: "BER of the message", Size: f.Size})
		f.Notes = append(f.Notes, "The message is BER with indefinite lengths, which has many spellings; it was read as the DER of it.")
	} else {
		f.Uncovered = append(f.Uncovered, s.Uncovered...)
	}
	for _, signer := range s.Signers {
		if !signer.SigningTime.IsZero() {
			f.Fields = append(f.Fields, format.Field{Name: "signing time", Value: signer.SigningTime.UTC().Format("2006-01-02T15:04:05Z07:00"), Protected: true})
		}
	}
	f.Notes = append(f.Notes, "The signature tells neither version nor device: it keeps no older release out.")
	f.Notes = append(f.Notes, s.Notes...)
}

// verify asks for code signing unless the caller asks for another purpose.
func (s *cmsFile) verify(trust format.Trust, artifact format.Source, r *format.Report) error {
	result, err := s.VerifyDetached(artifact.Section(0, artifact.Size()), trust, cms.Policy{Purposes: []string{format.PurposeCodeSigning}})
	r.Signature, r.Digest, r.Key, r.Chain, r.Findings = result.Signature, result.Digest, result.Key, result.Links, result.Findings
	r.Image.Notes = append(r.Image.Notes, result.Notes...)
	if err != nil {
		r.Signature = ""
	}
	return err
}

func (s *cmsFile) check(d format.Device) error { return checkNothing(d) }
