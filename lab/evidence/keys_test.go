package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysOnDisk(t *testing.T) {
	private, public, err := GenerateKey([]byte("correct horse"))
	require.NoError(t, err)
	require.Contains(t, string(private), "ENCRYPTED SIGSTORE PRIVATE KEY")
	dir := t.TempDir()
	secret, open := filepath.Join(dir, "lab.key"), filepath.Join(dir, "lab.pub")
	require.NoError(t, SaveKey(secret, private))
	require.NoError(t, SaveKey(open, public))
	require.ErrorIs(t, SaveKey(secret, private), os.ErrExist)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(secret)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	s, err := LoadSigner(secret, []byte("correct horse"))
	require.NoError(t, err)
	v, err := LoadVerifier(open)
	require.NoError(t, err)
	sig, err := s.SignMessage(bytes.NewReader([]byte("message")))
	require.NoError(t, err)
	require.NoError(t, v.VerifySignature(bytes.NewReader(sig), bytes.NewReader([]byte("message"))))

	pem, again, err := Public(s)
	require.NoError(t, err)
	require.Equal(t, public, pem)
	require.NoError(t, again.VerifySignature(bytes.NewReader(sig), bytes.NewReader([]byte("message"))))
	passing, err := Ephemeral()
	require.NoError(t, err)
	_, stranger, err := Public(passing)
	require.NoError(t, err)
	require.Error(t, stranger.VerifySignature(bytes.NewReader(sig), bytes.NewReader([]byte("message"))))

	for _, password := range []string{"", "wrong horse"} {
		_, err = LoadSigner(secret, []byte(password))
		require.ErrorIs(t, err, ErrPassword)
		require.NotContains(t, err.Error(), "horse")
	}
	_, err = LoadSigner(open, nil)
	require.ErrorContains(t, err, "not a private key")
	_, err = LoadVerifier(secret)
	require.ErrorContains(t, err, "not a public key")
	_, err = LoadSigner(filepath.Join(dir, "gone"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "long"), make([]byte, maxKey+1), 0o600))
	_, err = LoadVerifier(filepath.Join(dir, "long"))
	require.ErrorContains(t, err, "no key")
	_, err = ParseSigner([]byte("no PEM"), nil)
	require.ErrorContains(t, err, "no PEM block")
}

// TestSealIsVerifiedByOpenSSL takes the seal apart by its documented form alone and
// asks somebody else's program whether the signature holds.
func TestSealIsVerifiedByOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl: apt-get install openssl")
	}
	p := newPair(t)
	_, path := sealRun(t, p)
	list := splitBundle(t, read(t, path))
	var b struct {
		MediaType string
		DSSE      struct {
			Payload, PayloadType string
			Signatures           []map[string]string
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(list[len(list)-1].b, &b))
	require.Len(t, b.DSSE.Signatures, 1)
	require.NotContains(t, b.DSSE.Signatures[0], "keyid")
	payload, err := base64.StdEncoding.DecodeString(b.DSSE.Payload)
	require.NoError(t, err)
	sig, err := base64.StdEncoding.DecodeString(b.DSSE.Signatures[0]["sig"])
	require.NoError(t, err)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "lab.pub"), p.public)
	put(t, filepath.Join(dir, "sig"), sig)
	check := func(payload []byte) error {
		put(t, filepath.Join(dir, "pae"), pae(b.DSSE.PayloadType, payload))
		cmd := exec.CommandContext(t.Context(), openssl, "dgst", "-sha256", "-verify", "lab.pub", "-signature", "sig", "pae")
		cmd.Dir = dir
		return cmd.Run()
	}
	require.NoError(t, check(payload))
	payload[20] ^= 1
	require.Error(t, check(payload))
}

func TestPreAuthenticationEncoding(t *testing.T) {
	// The example of the DSSE specification (protocol.md).
	require.Equal(t, "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
		string(pae("http://example.com/HelloWorld", []byte("hello world"))))
}
