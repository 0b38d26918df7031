package evidence

import (
	"crypto"
	"crypto/elliptic"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// ErrNoKey says that nobody gave a key to verify with.
var ErrNoKey = errors.New("no public key given")

// ErrPassword says that a private key does not open.
var ErrPassword = errors.New("the private key's password is missing or wrong")

// maxKey bounds a key file.
const maxKey = 64 << 10

// GenerateKey makes an ECDSA P-256 key pair as PEM. With a password the private key
// is encrypted as Sigstore's tools do it (scrypt, NaCl secretbox).
func GenerateKey(password []byte) (private, public []byte, err error) {
	var ask cryptoutils.PassFunc
	if len(password) > 0 {
		ask = cryptoutils.StaticPasswordFunc(password)
	}
	private, public, err = cryptoutils.GeneratePEMEncodedECDSAKeyPair(elliptic.P256(), ask)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	return private, public, nil
}

// Ephemeral makes a key that lives as long as this process: it shows that nothing
// changed since sealing, and says nothing about who sealed.
func Ephemeral() (signature.Signer, error) {
	private, _, err := GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return ParseSigner(private, nil)
}

// Public returns the public half of a signer's key, as PEM and ready to verify with.
func Public(signer signature.Signer) ([]byte, signature.Verifier, error) {
	key, err := signer.PublicKey()
	if err != nil {
		return nil, nil, fmt.Errorf("read public key: %w", err)
	}
	b, err := cryptoutils.MarshalPublicKeyToPEM(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode public key: %w", err)
	}
	v, err := ParseVerifier(b)
	return b, v, err
}

// SaveKey writes a key file, a private one for its owner's eyes only, and never over
// a file that is there: a lost private key cannot be made again.
func SaveKey(path string, key []byte) error {
	mode := os.FileMode(0o600)
	if block, _ := pem.Decode(key); block != nil && block.Type == string(cryptoutils.PublicKeyPEMType) {
		mode = 0o644
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("save key %s: %w", path, err), os.Remove(path))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("save key %s: %w", path, err)
	}
	return nil
}

// LoadSigner reads a private key. password may be empty for one that is not encrypted.
func LoadSigner(path string, password []byte) (signature.Signer, error) {
	b, err := readKey(path)
	if err != nil {
		return nil, fmt.Errorf("load signer: %w", err)
	}
	s, err := ParseSigner(b, password)
	if err != nil {
		return nil, fmt.Errorf("load signer %s: %w", path, err)
	}
	return s, nil
}

// ParseSigner reads a private key from PEM.
func ParseSigner(private, password []byte) (signature.Signer, error) {
	block, _ := pem.Decode(private)
	if block == nil {
		return nil, errors.New("no PEM block in it")
	}
	encrypted := strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != ""
	var ask cryptoutils.PassFunc
	if encrypted {
		if len(password) == 0 {
			return nil, ErrPassword
		}
		ask = cryptoutils.StaticPasswordFunc(password)
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(private, ask)
	if err != nil {
		// The library's words are left out: they must never carry what was typed.
		if encrypted {
			return nil, ErrPassword
		}
		return nil, fmt.Errorf("%s: not a private key", printable(block.Type))
	}
	return signature.LoadSigner(key, crypto.SHA256)
}

// LoadVerifier reads a public key.
func LoadVerifier(path string) (signature.Verifier, error) {
	b, err := readKey(path)
	if err != nil {
		return nil, fmt.Errorf("load verifier: %w", err)
	}
	v, err := ParseVerifier(b)
	if err != nil {
		return nil, fmt.Errorf("load verifier %s: %w", path, err)
	}
	return v, nil
}

// ParseVerifier reads a public key from PEM.
func ParseVerifier(public []byte) (signature.Verifier, error) {
	key, err := cryptoutils.UnmarshalPEMToPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("not a public key in PEM: %w", err)
	}
	return signature.LoadVerifier(key, crypto.SHA256)
}

func readKey(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKey {
		return nil, fmt.Errorf("%s: more than %d bytes, no key", path, maxKey)
	}
	return b, nil
}
