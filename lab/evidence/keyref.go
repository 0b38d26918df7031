package evidence

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// keyPatience bounds one request to a program that holds a key; a person may have to touch a token.
const keyPatience = time.Minute

// ErrKeyReference says that a key's reference cannot be meant.
var ErrKeyReference = errors.New("no key that can be used here")

var keyHolder = regexp.MustCompile(`^([a-z][a-z0-9-]+)://(.+)$`)

// OpenSigner opens the private key that a reference names: a file's path, file:PATH, or NAME://ID for
// a key that never leaves an HSM or a key service. The latter is asked by the program sigstore-kms-NAME
// in PATH, which speaks the protocol of Sigstore's plugins, so that this program needs neither cgo nor
// a maker's library. What it signs is checked before it is used.
func OpenSigner(ctx context.Context, ref string, password []byte) (signature.Signer, error) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		return LoadSigner(strings.TrimPrefix(path, "//"), password)
	}
	if strings.HasPrefix(ref, "pkcs11:") {
		return nil, fmt.Errorf("open key pkcs11: a PKCS#11 module is a C library, and this program is built without cgo: "+
			"put a program %sNAME into PATH that holds the module, and name the key NAME://ID: %w", cliplugin.PluginBinaryPrefix, ErrKeyReference)
	}
	m := keyHolder.FindStringSubmatch(ref)
	if m == nil {
		if scheme, _, ok := strings.Cut(ref, "://"); ok {
			return nil, fmt.Errorf("open key: %s is no scheme: want a path, file:PATH or NAME://ID: %w", printable(scheme), ErrKeyReference)
		}
		return LoadSigner(ref, password)
	}
	s := &heldKey{ctx: context.WithoutCancel(ctx), name: m[1]}
	var err error
	s.held, err = cliplugin.LoadSignerVerifier(ctx, ref, crypto.SHA256)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("open key %s://: there is no program %s%s in PATH: %w", s.name, cliplugin.PluginBinaryPrefix, s.name, ErrKeyReference)
	}
	if err != nil {
		return nil, fmt.Errorf("open key %s://: %w", s.name, err)
	}
	ask, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	if s.public, err = s.held.PublicKey(options.WithContext(ask)); err != nil {
		return nil, fmt.Errorf("ask %s for its public key: %w", s.name, err)
	}
	if s.check, err = signature.LoadVerifier(s.public, crypto.SHA256); err != nil {
		return nil, fmt.Errorf("ask %s for its public key: %w", s.name, err)
	}
	return s, nil
}

// A heldKey signs where the key is.
type heldKey struct {
	ctx    context.Context // of whoever opened it, never cancelled: a run is sealed after Ctrl-C, too
	name   string
	held   signature.SignerVerifier
	public crypto.PublicKey
	check  signature.Verifier
}

// PublicKey is what the holder told when the key was opened.
func (k *heldKey) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return k.public, nil
}

// SignMessage asks the holder, within a deadline, and checks its answer.
func (k *heldKey) SignMessage(r io.Reader, _ ...signature.SignOption) ([]byte, error) {
	message, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(k.ctx, keyPatience)
	defer cancel()
	sig, err := k.held.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("ask %s to sign: %w", k.name, err)
	}
	if err := k.check.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)); err != nil {
		return nil, fmt.Errorf("what %s signed does not verify under its own public key: %w", k.name, err)
	}
	return sig, nil
}

// CryptoSigner is a signer for whoever wants Go's own kind: it signs whole messages by SHA-256 (crypto.MessageSigner),
// and no digests, since a key that is held elsewhere may never see one.
func CryptoSigner(s signature.Signer) (crypto.Signer, error) {
	public, err := s.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	return messageSigner{s, public}, nil
}

type messageSigner struct {
	signer signature.Signer
	public crypto.PublicKey
}

func (m messageSigner) Public() crypto.PublicKey { return m.public }

func (m messageSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("sign a digest: this key signs whole messages only")
}

func (m messageSigner) SignMessage(_ io.Reader, message []byte, o crypto.SignerOpts) ([]byte, error) {
	if o.HashFunc() != crypto.SHA256 {
		return nil, fmt.Errorf("sign a message by %v: this key signs by SHA-256 only", o.HashFunc())
	}
	return m.signer.SignMessage(bytes.NewReader(message))
}
