package swupdate

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// How sw-description is encrypted as a whole, where a device is built for that: the signature is
// of the text in clear, so nothing can be said before the text is open.
const (
	sealedAES = "aes-cbc"            // CONFIG_ENCRYPTED_SW_DESCRIPTION
	sealedCMS = "cms-enveloped-data" // CONFIG_ASYM_ENCRYPTED_SW_DESCRIPTION
)

// sealed tells how a sw-description that cannot be read is encrypted; empty for one that is
// text, however damaged: ciphertext has control characters and is no UTF-8.
func sealed(text []byte) string {
	if cms.LooksEnveloped(text) {
		return sealedCMS
	}
	control := slices.ContainsFunc(text, func(c byte) bool { return c < ' ' && !strings.ContainsRune("\t\n\r\f", rune(c)) })
	if control && !utf8.Valid(text) && len(text)%aes.BlockSize == 0 {
		return sealedAES
	}
	return ""
}

// open is the archive with its sw-description in clear, opened by one of the keys given. The
// text counts for nothing yet: whoever has the key of a fleet can encrypt.
func (img *Image) open(anchors []format.Anchor) (*Image, error) {
	if len(anchors) == 0 {
		return nil, format.Wrap(format.ErrEncrypted, "%s is encrypted (%s), and no key to open it was given", descriptionName, img.sealed)
	}
	opened := *img
	var err error
	if img.sealed == sealedCMS {
		opened.text, err = openCMS(img.text, anchors)
	} else {
		opened.text, err = openAES(img.text, anchors)
	}
	return &opened, err
}

func openCMS(sealed []byte, anchors []format.Anchor) ([]byte, error) {
	var keys []*rsa.PrivateKey
	for _, a := range anchors {
		if key, err := cms.RecipientKey(a); err == nil && key != nil { // else it may be one for AES
			keys = append(keys, key)
		}
	}
	return cms.OpenEnvelope(sealed, keys)
}

// openAES tries keys as swupdate -K reads them: key and initialisation vector in hex, in one line.
func openAES(sealed []byte, anchors []format.Anchor) ([]byte, error) {
	for _, a := range anchors {
		key, iv, err := readKey(a.Bytes)
		if err != nil {
			continue // a key of another kind
		}
		block, err := aes.NewCipher(key)
		if err != nil || len(sealed) == 0 {
			continue
		}
		plain := make([]byte, len(sealed))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
		if n := int(plain[len(plain)-1]); n > 0 && n <= aes.BlockSize && strings.Count(string(plain[len(plain)-n:]), string(plain[len(plain)-1:])) == n {
			return plain[:len(plain)-n], nil
		}
	}
	return nil, format.Wrap(format.ErrEncrypted, "none of the %d keys given opens %s (%s, key and initialisation vector in hex)", len(anchors), descriptionName, sealedAES)
}

func readKey(text []byte) (key, iv []byte, err error) {
	if len(text) > 4096 {
		return nil, nil, fmt.Errorf("a key file of %d bytes", len(text))
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return nil, nil, fmt.Errorf("a key file of %d words", len(words))
	}
	if key, err = hex.DecodeString(words[0]); err != nil {
		return nil, nil, err
	}
	if iv, err = hex.DecodeString(words[1]); err == nil && len(iv) != aes.BlockSize {
		err = fmt.Errorf("an initialisation vector of %d bytes", len(iv))
	}
	return key, iv, err
}
