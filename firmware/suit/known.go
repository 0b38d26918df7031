package suit

import (
	"bytes"

	"assay/firmware/format"
)

// exampleKey is the fingerprint of the key whose private half draft-ietf-suit-manifest
// prints (appendix B); libcsuit signs its examples with it, too.
const exampleKey = "ade2dad611717e910e295db3ba086fc40490b0daacfc23aace9348077b839b17"

// exampleSecret is what libcsuit's examples key their MACs with: 32 times "a".
func exampleSecret() []byte { return bytes.Repeat([]byte{0x61}, 32) }

// findings tells what is wrong with who signed, even if the signature holds.
func (v voucher) findings() []format.Finding {
	known := func(what, says, source string) []format.Finding {
		return []format.Finding{{ID: "known-key", What: what, Level: format.Disallowed, Says: says, Source: source}}
	}
	if v.secret != nil {
		if bytes.Equal(v.secret.Bytes, exampleSecret()) {
			return known("libcsuit-hmac256", "the secret is printed in an example: anybody can authenticate with it",
				"kentakayama/libcsuit 00f5609, examples")
		}
		return nil
	}
	if v.hss != nil {
		return nil
	}
	found := format.WeakKey(v.key.Public)
	if v.key.Fingerprint == exampleKey {
		found = append(found, known("suit-draft-example", "the private key is printed in the draft: anybody can sign with it",
			"draft-ietf-suit-manifest-37, June 2026, appendix B")...)
	}
	return found
}
