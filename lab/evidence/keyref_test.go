package evidence

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// holderName makes the test binary a program that holds a key, as Sigstore's plugins do.
const holderName = "sigstore-kms-testhsm"

// holdKey answers one request. The id names a folder with the key; what is in its file "mood" is how it answers.
func holdKey() int {
	var q struct {
		InitOptions struct{ KeyResourceID string }
		MethodName  string
	}
	if err := json.Unmarshal([]byte(os.Args[2]), &q); err != nil {
		return 1
	}
	dir := strings.TrimPrefix(q.InitOptions.KeyResourceID, "testhsm://")
	mood, _ := os.ReadFile(filepath.Join(dir, "mood"))
	answer := map[string]any{}
	switch {
	case string(mood) == "locked":
		answer["errorMessage"] = "the token is locked"
	case q.MethodName == "publicKey":
		b, _ := os.ReadFile(filepath.Join(dir, "pub"))
		answer["publicKey"] = map[string]any{"publicKeyPEM": b}
	case q.MethodName == "signMessage":
		s, err := LoadSigner(filepath.Join(dir, "key"), nil)
		if err != nil {
			return 1
		}
		message, _ := io.ReadAll(os.Stdin)
		if string(mood) == "wrong" {
			message = []byte("another")
		}
		sig, err := s.SignMessage(bytes.NewReader(message))
		if err != nil {
			return 1
		}
		answer["signMessage"] = map[string]any{"signature": sig}
	}
	b, _ := json.Marshal(answer)
	fmt.Println(string(b))
	return 0
}

func TestOpenSigner(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs symbolic links")
	}
	p, bin, dir := newPair(t), t.TempDir(), t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(bin, holderName)))
	t.Setenv("PATH", bin)
	put(t, filepath.Join(dir, "key"), p.private)
	put(t, filepath.Join(dir, "pub"), p.public)
	for _, ref := range []string{"testhsm://" + dir, filepath.Join(dir, "key"), "file:" + filepath.Join(dir, "key"), "file://" + filepath.Join(dir, "key")} {
		s, err := OpenSigner(t.Context(), ref, nil)
		require.NoError(t, err, ref)
		run, _ := sealRun(t, p)
		out := filepath.Join(t.TempDir(), "held.assay")
		require.NoError(t, Seal(t.Context(), run, out, s))
		_, err = Verify(t.Context(), out, p.keys())
		require.NoError(t, err)

		own, err := CryptoSigner(s)
		require.NoError(t, err)
		sig, err := crypto.SignMessage(own, rand.Reader, []byte("message"), crypto.SHA256)
		require.NoError(t, err)
		require.NoError(t, p.verifier.VerifySignature(bytes.NewReader(sig), strings.NewReader("message")))
		_, err = crypto.SignMessage(own, rand.Reader, []byte("message"), crypto.SHA512)
		require.ErrorContains(t, err, "by SHA-256 only")
		_, err = own.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
		require.ErrorContains(t, err, "whole messages only")
	}
	for ref, want := range map[string]string{
		"pkcs11:token=lab;object=seal": "built without cgo",
		"awskms:///alias/lab":          "no program sigstore-kms-awskms in PATH",
		"no-such://key":                "no program sigstore-kms-no-such in PATH",
		"Not A Scheme://key":           "is no scheme",
	} {
		_, err := OpenSigner(t.Context(), ref, nil)
		require.ErrorIs(t, err, ErrKeyReference)
		require.ErrorContains(t, err, want)
	}
	put(t, filepath.Join(dir, "mood"), []byte("locked"))
	_, err = OpenSigner(t.Context(), "testhsm://"+dir, nil)
	require.ErrorContains(t, err, "the token is locked")
	put(t, filepath.Join(dir, "mood"), []byte("wrong"))
	s, err := OpenSigner(t.Context(), "testhsm://"+dir, nil)
	require.NoError(t, err)
	_, err = s.SignMessage(bytes.NewReader([]byte("message")))
	require.ErrorContains(t, err, "does not verify under its own public key")
}
