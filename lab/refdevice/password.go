package refdevice

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// passwordRounds costs about a millisecond on a bench machine; a product would take
// as many as its processor can bear.
const passwordRounds = 4096

// A passwordHash is a password as the device keeps it.
type passwordHash struct {
	Salt []byte `json:"salt"`
	Hash []byte `json:"hash"`
}

func hashPassword(password string) (passwordHash, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return passwordHash{}, fmt.Errorf("hash password: %w", err)
	}
	h, err := pbkdf2.Key(sha256.New, password, salt, passwordRounds, sha256.Size)
	if err != nil {
		return passwordHash{}, fmt.Errorf("hash password: %w", err)
	}
	return passwordHash{Salt: salt, Hash: h}, nil
}

// matches takes as long for a wrong password as for the right one.
func (p passwordHash) matches(password string) bool {
	h, err := pbkdf2.Key(sha256.New, password, p.Salt, passwordRounds, sha256.Size)
	return err == nil && len(p.Hash) == sha256.Size && subtle.ConstantTimeCompare(h, p.Hash) == 1
}

// equal compares two short texts without telling by its time how much of them agrees.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
