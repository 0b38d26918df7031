package format

import (
	"bytes"
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
)

// UnwrapKey is AES key unwrap (RFC 3394 section 2.2.2), of keys of 16 to 512 bytes.
func UnwrapKey(secret, wrapped []byte) ([]byte, bool) {
	block, err := aes.NewCipher(secret)
	n := len(wrapped)/8 - 1
	if err != nil || len(wrapped)%8 != 0 || n < 2 || n > 64 {
		return nil, false
	}
	key, buffer := bytes.Clone(wrapped[8:]), bytes.Clone(wrapped[:16])
	for t := 6 * n; t > 0; t-- {
		part := key[(t-1)%n*8:][:8]
		binary.BigEndian.PutUint64(buffer, binary.BigEndian.Uint64(buffer)^uint64(t))
		copy(buffer[8:], part)
		block.Decrypt(buffer, buffer)
		copy(part, buffer[8:])
	}
	return key, subtle.ConstantTimeCompare(buffer[:8], bytes.Repeat([]byte{0xa6}, 8)) == 1
}
