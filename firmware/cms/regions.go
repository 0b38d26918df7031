package cms

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	"assay/firmware/format"
)

// order sorts the regions and moves the certificates of the signers to what is covered:
// the signature is checked with them, and their issuers vouch for them. A copy beside it frees both.
func (m *Message) order() {
	for i := range m.Signers {
		c, err := m.certificate(&m.Signers[i], format.Trust{})
		if err != nil {
			continue
		}
		for j, r := range m.Uncovered {
			if bytes.Equal(m.der[r.Offset:r.Offset+r.Size], c.Raw) && m.copies(c.Raw) == 1 {
				r.Name = fmt.Sprintf("certificate of signer %d", i+1)
				m.Covered, m.Uncovered = append(m.Covered, r), slices.Delete(m.Uncovered, j, j+1)
				break
			}
		}
	}
	byOffset := func(a, b format.Region) int { return int(a.Offset - b.Offset) }
	slices.SortStableFunc(m.Covered, byOffset)
	slices.SortStableFunc(m.Uncovered, byOffset)
}

func (m *Message) copies(raw []byte) int { return bytes.Count(m.der, raw) }

// nameOf prints a DER name; what cannot be read is printed in hex.
func nameOf(der []byte) string {
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &seq); err != nil || len(rest) > 0 {
		return fmt.Sprintf("%x", der)
	}
	var n pkix.Name
	n.FillFromRDNSequence(&seq)
	return n.String()
}
