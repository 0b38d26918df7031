package mcuboot

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// A wrapping is one image key, the bytes 0, 1, 2 ..., as another tool wrapped it.
type wrapping struct {
	tlv   Type
	size  int
	value string // hex
}

// wrappings are by imgtool 2.4.0 (ECIES) and by RFC 3394 sections 4.1 and 4.6.
func wrappings() []wrapping {
	return []wrapping{
		{TypeEncEC256, 16, "04e7eaef7850ddcd2d207d42e362184ba32e072024e7e738d2a9134302cae6bb872456ced453bef4e40c717ad81c1b98ab4647140849739c361656ae6aaf95cc7a2003027242de8af6630a16499b333c985691df9f0ba5d5e9727e391cb611e3aecbcc8bfd03a35b72a56852d3eb98afb7"},
		{TypeEncEC256, 32, "04ea159efa9908035a75d75de63f08330716b33336a75d1737350cb64250cd90e8f5a0ca3f04e5de2284833f3f838580ded95f6c2d2ef1eb21aedb4a83732ad6dd7e9a1be21e630702bd1b29a654b11e7bedce3dfc882ea565a3ccc7d7231a3b0145ac17c54982d572c895e0d176bd96960bac8fb8c549f44a1c492d9119382491"},
		{TypeEncX25519, 16, "332912737f74a060d3a46358e5e69a3fed00f9863dc5aa1a1b680d1ed65a7c67555326a7cf8f7aa2b3f2f0ca8afc8a3c1a30feb8041f5ffefdc0cf18ede82c980a1879f11dc88a78cc1cd9ba348bb47e"},
		{TypeEncX25519, 32, "2552359c3e87d077087512fcbfd838164da544c7b4586753ab6946614447fe4a4075118449c145256bdc03339fd31d31166c81e87ebbd9b6dc7c6cc6f6678958ab46949e826b977f4c52155ac8cdda809bfd431e5106d7a26e79db00d18ffbad"},
		{TypeEncX25519SHA, 16, "f613b448a835b5d0fe6f7c52520dd87842f48162eb0b3f97b3668d3d1c52db5c23cba4e69f514b6d042891848be90f878830bd528bcaf5d143c365575c492cf016897131858a8523b94d1a50767b0599ad6f80ebdd56e4c0937e630b165eb9c8e7986166c0a83a06d1203fd2cc4bd88a"},
		{TypeEncX25519SHA, 32, "de9967d9e7f0680a8542e38a01f97dc5c6f9b350441a5f75e2a8780fb1559778bf2ac8041df5abff6c1a4e687a15007022699513ea72c9f6451c8a1841dbb925797f9036d8c7892e8d2dd3b44397486e1b2eb03cd5e3d27b0660a2cc9a6156fc8f0d8e646a06f44d672c4873250dbd558412526f7c9cd1fef8566d042d54c949"},
		{TypeEncKW, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{TypeEncKW, 32, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"},
		{TypeEncRSA, 16, ""},
		{TypeEncRSA, 32, ""},
	}
}

// imageKey is what is wrapped.
func (w wrapping) imageKey() []byte {
	key := make([]byte, w.size)
	for i := range key {
		key[i] = byte(i)
	}
	if w.tlv == TypeEncKW { // of the RFC
		key, _ = hex.DecodeString("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
		key = key[:w.size]
	}
	return key
}

func (w wrapping) bytes(t testing.TB) []byte {
	if w.tlv == TypeEncRSA {
		b, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, signer(t, "rsa2048").Public().(*rsa.PublicKey), w.imageKey(), nil)
		require.NoError(t, err)
		return b
	}
	b, err := hex.DecodeString(w.value)
	require.NoError(t, err)
	return b
}

// recipient is the private key of a TLV, as a user would give it.
func recipient(t testing.TB, tlv Type, size int) format.Anchor {
	var key any
	var err error
	switch tlv {
	case TypeEncEC256:
		key, err = ecdh.P256().NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	case TypeEncX25519, TypeEncX25519SHA:
		key, err = ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{9}, 32))
	case TypeEncRSA:
		key = signer(t, "rsa2048")
	case TypeEncKW:
		kek := make([]byte, size)
		for i := range kek {
			kek[i] = byte(i)
		}
		return format.Anchor{From: "kek", Bytes: []byte(base64.StdEncoding.EncodeToString(kek) + "\n")}
	}
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return format.Anchor{From: "recipient.pem", Bytes: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

// encrypted is a good image whose payload is encrypted.
func encrypted(t testing.TB, w wrapping, kind string, pure bool) []byte {
	covered, err := fullSpec().covered()
	require.NoError(t, err)
	covered[16] |= map[int]byte{16: FlagAES128, 32: FlagAES256}[w.size]
	tlvs, err := sign(covered, signer(t, kind), false, pure)
	require.NoError(t, err)
	payload := fullSpec().HeaderSize
	require.NoError(t, countUp(w.imageKey(), covered[payload:payload+len(fullSpec().Payload)]))
	b, err := appendArea(covered, unprotectedMagic, append(tlvs, TLV{w.tlv, w.bytes(t)}))
	require.NoError(t, err)
	return b
}

func TestDecrypt(t *testing.T) {
	for _, w := range wrappings() {
		for _, kind := range []string{"p256", "ed25519", "ed25519 pure"} {
			t.Run(w.tlv.String()+" "+kind, func(t *testing.T) {
				signed, pure := kind, kind == "ed25519 pure"
				if pure {
					signed = "ed25519"
				}
				b := encrypted(t, w, signed, pure)
				trusted := trust(t, signed)
				verify := func(b []byte) error { _, err := Open(b, trusted); return err }
				require.ErrorIs(t, verify(b), format.ErrEncrypted, "without a recipient's key")

				other := TypeEncEC256
				if w.tlv == TypeEncEC256 {
					other = TypeEncX25519
				}
				trusted.Recipients = []format.Anchor{recipient(t, other, w.size)}
				require.ErrorIs(t, verify(b), format.ErrEncrypted, "of another recipient")

				trusted.Recipients = append(trusted.Recipients, recipient(t, w.tlv, w.size))
				img, err := OpenUnverified(b)
				require.NoError(t, err)
				report, err := img.Verify(trusted)
				require.NoError(t, err)
				assert.NotEmpty(t, report.Digest)
				assert.True(t, bytes.Equal(b, img.raw), "the image stays as it lies")

				flipped := bytes.Clone(b)
				flipped[fullSpec().HeaderSize+3] ^= 1
				require.ErrorIs(t, verify(flipped), format.ErrBadHash, "ciphertext")
				flipped = bytes.Clone(b)
				flipped[len(b)-1] ^= 1
				require.ErrorIs(t, verify(flipped), format.ErrEncrypted, "wrapped key")
			})
		}
	}
}

// A flag of the other key length, and an image key that is not there.
func TestDecryptRefuses(t *testing.T) {
	w := wrappings()[0]
	trusted := trust(t, "p256")
	trusted.Recipients = []format.Anchor{recipient(t, w.tlv, w.size)}
	b := encrypted(t, w, "p256", false)
	b[16] ^= FlagAES128 | FlagAES256
	_, err := Open(b, trusted)
	require.ErrorIs(t, err, format.ErrEncrypted)

	img, err := OpenUnverified(encrypted(t, w, "p256", false))
	require.NoError(t, err)
	bare, err := appendArea(bytes.Clone(img.raw[:img.covered]), unprotectedMagic, img.unprotected[:len(img.unprotected)-1])
	require.NoError(t, err)
	_, err = Open(bare, trusted)
	require.ErrorIs(t, err, format.ErrEncrypted)
	require.ErrorContains(t, err, "no TLV")

	trusted.Recipients = []format.Anchor{{From: "notes.txt", Bytes: []byte("no key")}}
	_, err = Open(encrypted(t, w, "p256", false), trusted)
	require.ErrorContains(t, err, "notes.txt is no private key")
}

// A bootloader looks for the key while it reads: a signature in front of it is none.
func TestKeyBehindTheSignature(t *testing.T) {
	for _, kind := range []string{"p256", "ed25519"} {
		img, err := OpenUnverified(made(t, fullSpec(), kind))
		require.NoError(t, err)
		tlvs := img.Unprotected() // hash, key, signature
		tlvs[1], tlvs[2] = tlvs[2], tlvs[1]
		b, err := appendArea(bytes.Clone(img.raw[:img.covered]), unprotectedMagic, tlvs)
		require.NoError(t, err)
		_, err = Open(b, trust(t, kind))
		require.ErrorIs(t, err, format.ErrNoTrustedKey)
		require.ErrorContains(t, err, "before the key")

		tlvs[0], tlvs[2] = tlvs[2], tlvs[0] // key, signature, hash
		b, err = appendArea(bytes.Clone(img.raw[:img.covered]), unprotectedMagic, tlvs)
		require.NoError(t, err)
		_, err = Open(b, trust(t, kind))
		require.NoError(t, err, "the hash may stand anywhere")
	}
}

// FuzzUnwrap: whatever the TLV holds, a key of the right length or none.
func FuzzUnwrap(f *testing.F) {
	for i, w := range wrappings() {
		if w.tlv != TypeEncRSA {
			f.Add(uint8(i), w.bytes(f))
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, b []byte) {
		w := wrappings()[int(i)%len(wrappings())]
		private, err := parseRecipient(recipient(t, w.tlv, w.size))
		require.NoError(t, err)
		key := unwrap(TLV{w.tlv, b}, private, w.size)
		if w.tlv != TypeEncRSA && bytes.Equal(b, w.bytes(t)) {
			assert.Equal(t, w.imageKey(), key)
		}
		if key, err := parseRecipient(format.Anchor{Bytes: b}); err == nil {
			unwrap(TLV{w.tlv, w.bytes(t)}, key, w.size)
		}
	})
}
