package sigstore

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"assay/firmware/format"
)

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// Describe tells what the signature says about itself; nothing of it is verified.
func (img *Image) Describe() format.Facts {
	f := format.Facts{
		Format:    Name,
		Signature: img.claimedSignature(),
		KeyHint:   img.hint,
		Size:      int64(len(img.raw)),
		Uncovered: []format.Region{{Name: "signature file: layout, hints and proofs", Size: int64(len(img.raw))}},
		Fields:    img.fields(),
		Notes:     img.notes(),
	}
	if img.leaf != nil {
		if who, err := certificate.SummarizeCertificate(img.leaf); err == nil {
			f.KeyHint = who.SubjectAlternativeName
		}
	}
	if img.artifact != nil {
		f.PayloadSize = img.artifact.Size()
		f.Covered = []format.Region{{Name: "artifact", Size: img.artifact.Size()}}
	}
	return f
}

// claimedSignature says ecdsa for a managed key, whose curve the signature does not tell.
func (img *Image) claimedSignature() string {
	switch {
	case len(img.sig) == 0:
		return ""
	case img.leaf != nil:
		for _, h := range hashesOf(img.leaf.PublicKey) {
			if name := schemeName(img.leaf.PublicKey, h); name != "" {
				return name
			}
		}
		return "ed25519"
	}
	if _, ok := ecdsaNumbers(img.sig); ok {
		return "ecdsa"
	}
	switch len(img.sig) {
	case 64:
		return "ed25519"
	case 256, 384, 512:
		return fmt.Sprintf("rsa-%d-pkcs1-sha256", 8*len(img.sig))
	}
	return "unknown"
}

func (img *Image) entries() []*protorekor.TransparencyLogEntry {
	if img.bundle == nil {
		return nil
	}
	return img.bundle.GetVerificationMaterial().GetTlogEntries()
}

func (img *Image) fields() []format.Field {
	if img.bundle == nil {
		return []format.Field{{Name: "kind", Value: "cosign blob signature"}}
	}
	fields := []format.Field{{Name: "media type", Value: img.bundle.GetMediaType()}}
	add := func(name, value string, protected bool) {
		fields = append(fields, format.Field{Name: name, Value: value, Protected: protected})
	}
	if img.envelope != nil {
		add("payload type", img.envelope.payloadType, true)
		add("predicate type", img.envelope.statement.PredicateType, true)
		add("subjects", fmt.Sprint(len(img.envelope.statement.Subject)), true)
	} else {
		add("message digest", fmt.Sprintf("%s:%x", hashName(img.hash), img.digest), false)
	}
	if img.leaf != nil {
		add("certificate", fmt.Sprintf("serial %x, valid %s to %s", img.leaf.SerialNumber,
			img.leaf.NotBefore.UTC().Format(time.RFC3339), img.leaf.NotAfter.UTC().Format(time.RFC3339)), false)
		if who, err := certificate.SummarizeCertificate(img.leaf); err == nil {
			add("signer", who.SubjectAlternativeName, false)
			add("issuer", who.Issuer, false)
		}
	}
	for _, e := range img.entries() {
		add("log entry", fmt.Sprintf("%s %s, index %d", e.GetKindVersion().GetKind(), e.GetKindVersion().GetVersion(), e.GetLogIndex()), false)
	}
	if n := len(img.bundle.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()); n > 0 {
		add("time-stamps", fmt.Sprint(n), false)
	}
	return fields
}

func (img *Image) notes() []string {
	notes := []string{"a Sigstore signature carries no version, counter or target: it does not keep a device from an older image, or another product's, of the same maker"}
	say := func(s string, args ...any) { notes = append(notes, fmt.Sprintf(s, args...)) }
	if img.bundle == nil {
		say("a plain signature: no certificate, no log, no time")
	} else if len(img.entries()) == 0 {
		say("no log entry: nobody would notice if the key were used behind its owner's back")
	}
	if img.envelope != nil {
		say("signed is a statement of type %s about the artifact; whether it recommends it is for the predicate to say, which was not read", img.envelope.statement.PredicateType)
	}
	if img.bundle != nil && len(img.bundle.GetVerificationMaterial().GetX509CertificateChain().GetCertificates()) > 1 {
		say("the bundle brings intermediate certificates; they were not used")
	}
	return notes
}

// certificateLinks tells a chain from its root down to the signer.
func certificateLinks(chain []*x509.Certificate) []format.Link {
	var links []format.Link
	for i := len(chain) - 1; i >= 0; i-- {
		c := chain[i]
		l := format.Link{Kind: "certificate", Name: c.Subject.String(), Algorithm: algorithmOf(c), Strength: format.Strength(c.PublicKey),
			NotBefore: c.NotBefore.UTC().Format(time.RFC3339), NotAfter: c.NotAfter.UTC().Format(time.RFC3339), From: "trusted root"}
		if i == 0 {
			l.Purpose, l.From = format.PurposeCodeSigning, "image"
			if who, err := certificate.SummarizeCertificate(c); err == nil {
				l.Name = who.SubjectAlternativeName + " by " + who.Issuer
			}
		}
		links = append(links, l)
	}
	return links
}

func algorithmOf(c *x509.Certificate) string {
	k, err := format.NewKeys(c.PublicKey)
	if err != nil {
		return ""
	}
	return k.All()[0].Algorithm
}
