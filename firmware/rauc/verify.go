package rauc

import (
	"errors"
	"fmt"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// Verify checks, in this order: there is a signature, exactly one signer, its chain leads to
// a self-signed root of trust, is valid and meant for signing (e-mail protection, as OpenSSL
// has it by default, or Trust.Purpose) and not revoked, the signature fits, and the payload
// is the one that it covers: of a plain bundle directly, of the others through the manifest
// and the hash tree.
//
// Two files that differ may both verify where Uncovered says so: certificates that the
// message brings along as helpers, names of algorithms, revocation lists, unsigned attributes.
func (b *Bundle) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: b.Describe()}
	if err := b.verify(trust, &report); err != nil {
		return report, fmt.Errorf("verify rauc bundle: %w", err)
	}
	report.Verified = true
	return report, nil
}

func policy() cms.Policy { return cms.Policy{Signers: cms.OneSigner, WholeChain: true} }

func (b *Bundle) verify(trust format.Trust, report *format.Report) error {
	if b.enveloped {
		return b.verifyEnveloped(trust, report)
	}
	if b.message == nil {
		return format.Wrap(format.ErrUnsigned, "signature size 0")
	}
	var result cms.Result
	var err error
	if b.message.Detached {
		result, err = b.message.VerifyDetached(b.source.Section(0, b.payload), trust, policy())
	} else {
		result, err = b.message.VerifyAttached(trust, policy())
	}
	report.Signature, report.Digest, report.Key = result.Signature, result.Digest, result.Key
	report.Chain, report.Findings = result.Links, result.Findings
	report.Image.Notes = append(report.Image.Notes, result.Notes...)
	if err != nil {
		return err
	}
	if b.message.Detached {
		if errors.Is(b.problem, format.ErrMalformed) {
			return b.problem
		}
		return nil
	}
	if err := verifyTree(b.source.Section(0, b.payload), b.dataSize()/blockSize, b.manifest.VeritySalt, b.manifest.VerityHash); err != nil {
		return err
	}
	report.Chain = append(report.Chain, format.Link{
		Kind: "hash", Name: fmt.Sprintf("dm-verity tree over %d bytes", b.dataSize()), Algorithm: "sha256", Strength: 128, From: "manifest",
	})
	return nil
}
