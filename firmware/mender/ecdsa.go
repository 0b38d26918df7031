package mender

import (
	"encoding/asn1"
	"math/big"
)

// rawFromDER writes an ECDSA signature on P-256 as r and s of 32 bytes each.
func rawFromDER(der []byte) ([]byte, error) {
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return nil, err
	}
	b := make([]byte, 64)
	v.R.FillBytes(b[:32])
	v.S.FillBytes(b[32:])
	return b, nil
}
