package dossier_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"assay/profiles/dossier"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// lockedKey is a key under a passphrase, made once: deriving its cipher key is slow on purpose.
var lockedKey = sync.OnceValue(func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("open"))
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(block)
})

// folder makes the files that the valid dossier names.
func folder(t testing.TB) string {
	dir := t.TempDir()
	put := func(name string, b []byte) { require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600)) }
	block := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	put("cloud.key", block("PRIVATE KEY", private))
	put("key.pem", block("PUBLIC KEY", public))
	put("ca.pem", block("CERTIFICATE", cert))
	put("broken.pem", block("PUBLIC KEY", []byte("no key")))
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca, err := x509.CreateCertificate(rand.Reader, template, template, &other.PublicKey, other)
	require.NoError(t, err)
	put("other.pem", block("CERTIFICATE", ca))
	put("client.pem", block("CERTIFICATE", cert))
	put("client.key", block("PRIVATE KEY", private))
	put("ssh.key", block("PRIVATE KEY", private))
	put("locked.key", lockedKey())
	put("one.img", []byte("image one"))
	put("two.img", []byte("image two"))
	put("mqtt.secret", []byte("owner-secret-of-mqtt\r\n"))
	return dir
}

const psk = "hex:00112233445566778899aabbccddeeff"

func parse(t testing.TB, file string) (*dossier.Dossier, error) {
	b, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	t.Setenv("ASSAY_TEST_PSK", psk)
	return dossier.Parse("d.yaml", b, folder(t))
}

func TestParse(t *testing.T) {
	d, err := parse(t, "valid.yaml")
	require.NoError(t, err)
	assert.Equal(t, "T-100", d.Product.Model)
	assert.Equal(t, "label-secret-1", d.Units[0].Logins["http"].Password.Reveal())
	assert.Equal(t, "owner-secret-of-mqtt", d.Units[0].Logins["mqtt"].Password.Reveal(), "without the line break")
	assert.Equal(t, psk, d.Units[0].Logins["coap"].Password.Reveal())
	assert.Contains(t, d.Cloud.Key.Reveal(), "PRIVATE KEY")
	assert.Equal(t, filepath.Join(d.Dir, "one.img"), d.Path("one.img"))
	assert.Equal(t, "d.yaml", d.Source)

	assert.Equal(t, []string{"7-UpdMech/UpdMech-1"}, d.Rows("7-UpdMech", map[string]string{"via": "coap", "variant": "older"}))
	assert.Equal(t, []string{"1-AuthMech/AuthMech-2"}, d.Rows("1-AuthMech", map[string]string{"interface": "mqtt"}))
	assert.Empty(t, d.Rows("25-DelFunc", map[string]string{"by": "button"}))

	assert.True(t, d.Spared("external_sensors"))
	assert.False(t, d.Spared("telemetry"), "a denial without a reason spares nothing")
	_, denied := d.Lacks("telemetry")
	assert.True(t, denied)
	for _, f := range []string{"mqtt_login", "passwords"} {
		_, denied := d.Lacks(f)
		assert.False(t, denied, f)
	}
}

func TestRead(t *testing.T) {
	dir := folder(t)
	b, err := os.ReadFile("testdata/valid.yaml")
	require.NoError(t, err)
	t.Setenv("ASSAY_TEST_PSK", psk)
	path := filepath.Join(dir, "dossier.yaml")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	d, err := dossier.Read(path)
	require.NoError(t, err)
	assert.Equal(t, dir, d.Dir)

	_, err = dossier.Read(filepath.Join(dir, "none.yaml"))
	assert.ErrorContains(t, err, "read dossier: there is no file")
	require.NoError(t, os.WriteFile(path, []byte("# "+strings.Repeat("x", 10<<20)), 0o600))
	_, err = dossier.Read(path)
	assert.ErrorContains(t, err, "has 1048577 bytes, more than the 1048576 that are read")
}

func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	require.NoError(t, err)
	rules := invalid()
	assert.Len(t, files, len(rules), "one file for each rule and one rule for each file")
	for _, r := range rules {
		t.Run(r.rule, func(t *testing.T) {
			b, err := os.ReadFile("testdata/invalid-" + r.rule + ".yaml")
			require.NoError(t, err)
			t.Setenv("ASSAY_TEST_PSK", psk)
			dir := folder(t)
			_, err = dossier.Parse("d.yaml", b, dir)
			require.Error(t, err)
			assert.Equal(t, r.want, strings.ReplaceAll(err.Error(), filepath.ToSlash(dir), "DIR"))
		})
	}
}

func secrets(d *dossier.Dossier) []string {
	var all []string
	for _, u := range d.Units {
		for _, l := range u.Logins {
			all = append(all, l.Password.Reveal())
		}
	}
	return append(all, d.Cloud.Key.Reveal(), d.Cloud.Issuer.Key.Reveal())
}

func TestRedacted(t *testing.T) {
	d, err := parse(t, "valid.yaml")
	require.NoError(t, err)
	before := fmt.Sprintf("%#v", d.Operations["commission"].Steps[0].Command.Run)
	out := d.Redacted()
	assert.Equal(t, out, d.Redacted(), "the same bytes every time")
	assert.Equal(t, before, fmt.Sprintf("%#v", d.Operations["commission"].Steps[0].Command.Run), "the dossier itself is left alone")
	for _, s := range secrets(d) {
		assert.NotContains(t, string(out), s)
		assert.NotContains(t, string(out), strings.TrimPrefix(s, "hex:"))
	}
	assert.Contains(t, string(out), "owner over MQTT, like withheld on the label")

	again, err := dossier.ParseRecorded("dossier.yaml", out)
	require.NoError(t, err)
	assert.True(t, again.Withheld)
	assert.Equal(t, d.Product, again.Product)
	assert.Equal(t, d.Features, again.Features)
	assert.Equal(t, []string{"1-AuthMech/AuthMech-2"}, again.Rows("1-AuthMech", map[string]string{"interface": "mqtt"}))
	assert.Equal(t, d.Units[1].Host, again.Units[1].Host)
	assert.Equal(t, out, again.Redacted(), "what was read back is written the same")

	_, err = dossier.Parse("copy.yaml", out, d.Dir)
	assert.ErrorContains(t, err, "withheld: this copy lacks its secrets, so no device can be tested with it: take the maker's own file")
}

func TestRecordedIsReadStrictly(t *testing.T) {
	for src, want := range map[string]string{
		"assay: dossier/v9\n":                      `r:1:8: assay: wants "dossier/v1" as the first line's value, found "dossier/v9"`,
		"assay: dossier/v1\nmore: 1\n":             "r:2:1: more: is not a key here: did you mean",
		"assay: dossier/v1\nproduct: {model: m}\n": "units: is missing or empty",
	} {
		_, err := dossier.ParseRecorded("r", []byte(src))
		assert.ErrorContains(t, err, strings.Split(want, ": did")[0])
	}
}

// A secret shows in no way of printing it.
func TestSecretsStayHidden(t *testing.T) {
	s := dossier.NewSecret("hunter2")
	u := dossier.Unit{ID: "u", Logins: map[string]dossier.Login{"http": {Username: "admin", Password: s}}}
	j, err := json.Marshal(u)
	require.NoError(t, err)
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%v %+v %#v", u, u, u), string(j),
		fmt.Errorf("log in with %v", u.Logins).Error(),
	} {
		assert.NotContains(t, text, "hunter2")
		assert.NotContains(t, text, fmt.Sprintf("%x", "hunter2"))
	}
	assert.Equal(t, "hunter2", s.Reveal())
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"valid.yaml", "declared.yaml", "invalid-nested.yaml", "invalid-template.yaml", "invalid-secret-shape.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(b)
	}
	dir := folder(f)
	f.Setenv("ASSAY_TEST_PSK", psk)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := dossier.Parse("d.yaml", b, dir)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		out := d.Redacted()
		again, err := dossier.ParseRecorded("d.yaml", out)
		require.NoError(t, err, "what can be recorded can be read back")
		require.Equal(t, string(out), string(again.Redacted()))
		require.True(t, slices.EqualFunc(d.Units, again.Units, func(a, b dossier.Unit) bool { return a.ID == b.ID && a.Serial == b.Serial }))
	})
}
