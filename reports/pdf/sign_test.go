package pdf_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
	"assay/lab/evidence"
	"assay/lab/evidence/stamptest"
	"assay/reports/facetest"
	"assay/reports/pdf"
)

// signer is somebody who may sign documents, below an authority and its root.
func signer(t *testing.T, kind string) (*cms.PKI, pdf.Signature) {
	t.Helper()
	p, err := cms.NewPKI(cms.PKIOptions{Kind: kind, Name: "Example Lab", Intermediate: true, At: time.Now()})
	require.NoError(t, err)
	return p, pdf.Signature{Signer: p.Signer, Above: []*x509.Certificate{p.Intermediate.Certificate, p.Root.Certificate}, Time: time.Now()}
}

// pdfsig is what poppler says about the signature of a document.
func pdfsig(t *testing.T, document []byte) string {
	t.Helper()
	program, err := exec.LookPath("pdfsig")
	if err != nil {
		t.Skip("needs pdfsig (Debian: poppler-utils)")
	}
	path := filepath.Join(t.TempDir(), "r.pdf")
	require.NoError(t, os.WriteFile(path, document, 0o600))
	cmd := exec.CommandContext(t.Context(), program, "-nocert", path)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // where it would look for a browser's certificates
	said, _ := cmd.CombinedOutput()                     // its exit code is about the certificate, too
	return string(said)
}

var contents = regexp.MustCompile(`/ByteRange \[0 (\d+) (\d+) (\d+) *\]\n/Contents <([0-9a-f]+)>`)

// taken takes a signed document apart by what stands in it alone: what is signed, and the signature.
func taken(t *testing.T, document []byte) (signed, der []byte) {
	t.Helper()
	m := contents.FindSubmatch(document)
	require.NotNil(t, m)
	var n [3]int
	for i := range n {
		var err error
		n[i], err = strconv.Atoi(string(m[i+1]))
		require.NoError(t, err)
	}
	require.Equal(t, len(document), n[1]+n[2], "the whole document is covered")
	require.Equal(t, "<", string(document[n[0]]))
	require.Equal(t, ">", string(document[n[1]-1]))
	room, err := hex.DecodeString(string(document[n[0]+1 : n[1]-1]))
	require.NoError(t, err)
	var outer asn1.RawValue // says how long the signature is: one in 256 ends in a zero of its own
	rest, err := asn1.Unmarshal(room, &outer)
	require.NoError(t, err)
	require.Empty(t, bytes.Trim(rest, "\x00"), "nothing but zeros fills the room")
	return append(bytes.Clone(document[:n[0]]), document[n[1]:]...), outer.FullBytes
}

func TestSignedDocuments(t *testing.T) {
	plain := facetest.Write(pdf.Write).Render(t, facetest.Judged(t))
	for _, kind := range []string{"ecdsa-p256", "ecdsa-p384", "rsa-2048"} {
		for _, stamped := range []bool{false, true} {
			t.Run(kind+map[bool]string{true: " stamped"}[stamped], func(t *testing.T) {
				p, s := signer(t, kind)
				if stamped {
					a := stamptest.New(t, time.Now)
					s.Stamp = func(sig []byte) ([]byte, error) {
						der, _, err := evidence.RequestToken(t.Context(), a.URL, sig)
						return der, err
					}
				}
				document, err := pdf.Sign(plain, s)
				require.NoError(t, err)
				require.True(t, bytes.HasPrefix(document, plain), "what was there stays")
				assert.Equal(t, text(t, plain), text(t, document))

				said := pdfsig(t, document)
				assert.Contains(t, said, "Signature Validation: Signature is Valid.")
				assert.Contains(t, said, "Total document signed")
				assert.Contains(t, said, "ETSI.CAdES.detached")
				assert.Contains(t, said, "Signer Certificate Common Name: Signer")

				signed, der := taken(t, document)
				m, err := cms.Parse(der)
				require.NoError(t, err)
				require.Zero(t, m.Signers[0].SigningTime)
				require.Equal(t, map[bool]int{true: 1}[stamped], m.Signers[0].Unsigned)
				_, err = m.VerifyDetached(bytes.NewReader(signed), format.Trust{Roots: []format.Root{{Certificate: p.Root.Certificate}}, At: time.Now()}, cms.Policy{RequireAttributes: true})
				require.NoError(t, err)
				openssl(t, p, signed, der, true)
				signed[100] ^= 1
				openssl(t, p, signed, der, false)
			})
		}
	}
}

// openssl asks somebody else's program about the signature, whose certificate it must name (CAdES).
func openssl(t *testing.T, p *cms.PKI, signed, der []byte, good bool) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl")
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"signed": signed, "der": der, "root.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Root.Certificate.Raw})} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	cmd := exec.CommandContext(t.Context(), program, "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "der", "-content", "signed", "-CAfile", "root.pem", "-out", os.DevNull)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	require.Equal(t, good, err == nil, string(said))
}

// TestTamperedDocuments changes single bytes all over a signed document.
func TestTamperedDocuments(t *testing.T) {
	p, s := signer(t, "ecdsa-p256")
	plain := facetest.Write(pdf.Write).Render(t, facetest.Judged(t))
	document, err := pdf.Sign(plain, s)
	require.NoError(t, err)
	at := contents.FindSubmatchIndex(document)[8]
	_, der := taken(t, document)
	for _, i := range []int{9, 100, len(plain) / 2, len(plain) - 30, len(plain) + 20, at + 2*len(der) - 3, len(document) - 120} {
		changed := bytes.Clone(document)
		changed[i] ^= 1
		assert.NotContains(t, pdfsig(t, changed), "Signature is Valid", "byte %d", i)
	}
	// The certificates lie beside what is signed; the signature names the signer's, which poppler leaves to others.
	for _, i := range []int{at + 400, at + 500} {
		changed := bytes.Clone(document)
		changed[i] = "10"[min(1, changed[i]-'0')] // another hexadecimal digit
		signed, der := taken(t, changed)
		openssl(t, p, signed, der, false)
	}
	more := append(bytes.Clone(document), "1 0 obj\n<< >>\nendobj\n"...)
	assert.NotContains(t, pdfsig(t, more), "Total document signed")
}

// TestSignedDocumentsAreTheSame signs twice: nothing differs but the signature.
func TestSignedDocumentsAreTheSame(t *testing.T) {
	_, s := signer(t, "ecdsa-p256")
	s.Time = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	s.Signer.Certificate.NotBefore, s.Signer.Certificate.NotAfter = s.Time.AddDate(-1, 0, 0), s.Time.AddDate(1, 0, 0)
	plain := facetest.Write(pdf.Write).Render(t, facetest.Judged(t))
	one, err := pdf.Sign(plain, s)
	require.NoError(t, err)
	other, err := pdf.Sign(plain, s)
	require.NoError(t, err)
	a, _ := taken(t, one)
	b, _ := taken(t, other)
	require.Equal(t, string(a), string(b))
	require.Contains(t, string(a), "/M (D:20261126080000Z)")
	_, withRSA := signer(t, "rsa-2048")
	one, err = pdf.Sign(plain, withRSA)
	require.NoError(t, err)
	other, err = pdf.Sign(plain, withRSA)
	require.NoError(t, err)
	require.Equal(t, one, other, "RSA signatures of PKCS#1 v1.5 are the same, too")
}

func TestSignRefuses(t *testing.T) {
	plain := facetest.Write(pdf.Write).Render(t, facetest.Judged(t))
	p, good := signer(t, "ecdsa-p256")
	leaf := func(l cms.Leaf) func(*pdf.Signature) {
		return func(s *pdf.Signature) {
			id, err := p.Issue(l)
			require.NoError(t, err)
			s.Signer = id
		}
	}
	for name, c := range map[string]struct {
		change func(*pdf.Signature)
		want   string
	}{
		"another's key":   {func(s *pdf.Signature) { s.Signer.Key = p.Root.Key }, "the key is not that of the first certificate"},
		"a key of a kind": {func(s *pdf.Signature) { s.Signer.Key, _ = cms.FreshKey("rsa-2048") }, "the key is not that of the first certificate"},
		"an authority":    {func(s *pdf.Signature) { s.Signer, s.Above = *p.Intermediate, s.Above[1:] }, "is an authority's"},
		"expired":         {leaf(cms.Leaf{NotAfter: time.Now().Add(-time.Hour)}), "and it is"},
		"not yet":         {leaf(cms.Leaf{NotBefore: time.Now().Add(time.Hour)}), "and it is"},
		"for servers":     {leaf(cms.Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), "not for documents"},
		"weak":            {leaf(cms.Leaf{Kind: "rsa-1024"}), "has 1024 bits"},
		"ed25519":         {leaf(cms.Leaf{Kind: "ed25519"}), "readers of documents do not check"},
		"chain upside":    {func(s *pdf.Signature) { s.Above = []*x509.Certificate{p.Root.Certificate, p.Intermediate.Certificate} }, "certificate 2 of the chain"},
		"not for signing": {func(s *pdf.Signature) {
			c := *s.Signer.Certificate
			c.KeyUsage = x509.KeyUsageKeyEncipherment
			s.Signer.Certificate = &c
		}, "not for signatures"},
		"no token":         {func(s *pdf.Signature) { s.Stamp = func([]byte) ([]byte, error) { return nil, os.ErrDeadlineExceeded } }, "time-stamp the signature"},
		"a token too long": {func(s *pdf.Signature) { s.Stamp = func([]byte) ([]byte, error) { return make([]byte, 40<<10), nil } }, "there is room for"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			c.change(&s)
			_, err := pdf.Sign(plain, s)
			require.ErrorContains(t, err, c.want)
		})
	}
	for name, document := range map[string][]byte{
		"nothing": nil, "no document": []byte("%PDF-1.3\n"), "cut short": plain[:len(plain)-10], "and more": append(bytes.Clone(plain), '\n'),
		"no table":  regexp.MustCompile(`startxref\n\d+`).ReplaceAll(plain, []byte("startxref\n99999999999999999999")),
		"no pages":  bytes.Replace(plain, []byte("/Pages 1 0 R"), []byte("/Pages 9 9 R"), 1),
		"no object": bytes.Replace(plain, []byte("/Kids [3 0 R"), []byte("/Kids [0 0 R"), 1),
	} {
		_, err := pdf.Sign(document, good)
		require.ErrorContains(t, err, "not as this program writes documents", name)
	}
	signed, err := pdf.Sign(plain, good)
	require.NoError(t, err)
	_, err = pdf.Sign(signed, good)
	require.Error(t, err, "a signed document is not signed again")
}

// FuzzSign hands in documents: what is signed still begins as it was.
func FuzzSign(f *testing.F) {
	p, err := cms.NewPKI(cms.PKIOptions{At: time.Now()})
	require.NoError(f, err)
	f.Add([]byte("%PDF-1.3\n1 0 obj\n<</Kids [2 0 R]>>\nendobj\n2 0 obj\n<<>>\nendobj\n3 0 obj\n<</Pages 1 0 R>>\nendobj\nxref\n0 4\n0000000000 65535 f \n0000000009 00000 n \n0000000043 00000 n \n0000000063 00000 n \ntrailer\n<<\n/Size 4\n/Root 3 0 R\n/Info 3 0 R\n>>\nstartxref\n96\n%%EOF\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		signed, err := pdf.Sign(b, pdf.Signature{Signer: p.Signer, Time: p.At})
		if err == nil {
			require.True(t, bytes.HasPrefix(signed, b))
		}
	})
}
