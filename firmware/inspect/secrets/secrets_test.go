package secrets

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
	"assay/firmware/inspect/found"
	"assay/firmware/inspect/scan"
)

// search runs the scan and the judges over bytes, as the inspection does.
func search(t testing.TB, b []byte, at time.Time) []found.Finding {
	s := New(at)
	table, err := scan.New(s.Needles())
	require.NoError(t, err)
	f := found.File{Source: format.FromBytes(b)}
	s.Begin()
	var out []found.Finding
	require.NoError(t, table.Read(t.Context(), bytes.NewReader(b), nil, func(h scan.Hit) error {
		out = append(out, s.Judge(f, h.Needle, h.Offset)...)
		return nil
	}))
	return out
}

func statements(list []found.Finding) (out []string) {
	for _, f := range list {
		out = append(out, f.Kind+": "+f.Statement)
	}
	return out
}

func TestKeys(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	pkcs8 := func(k any) []byte { b, err := x509.MarshalPKCS8PrivateKey(k); require.NoError(t, err); return b }
	sec1, err := x509.MarshalECPrivateKey(e)
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		der  []byte
		kind string
		want string
	}{
		{"RSA PKCS#8", pkcs8(r), "PRIVATE KEY", "RSA 2048"}, {"RSA PKCS#1", x509.MarshalPKCS1PrivateKey(r), "RSA PRIVATE KEY", "RSA 2048"},
		{"EC PKCS#8", pkcs8(e), "PRIVATE KEY", "ECDSA P-256"}, {"EC SEC 1", sec1, "EC PRIVATE KEY", "ECDSA P-256"}, {"Ed25519", pkcs8(ed), "PRIVATE KEY", "Ed25519"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, around := range [][2]string{{"", ""}, {"some program text \x00\x01", "\xff\xff\xff\xff"}} {
				got := search(t, []byte(around[0]+string(c.der)+around[1]), time.Time{})
				require.Len(t, got, 1, "%v", got)
				assert.Equal(t, "private-key: a private key in DER: "+c.want, statements(got)[0])
				assert.Equal(t, int64(len(around[0])), got[0].Offset)
			}
			text := pem.EncodeToMemory(&pem.Block{Type: c.kind, Bytes: c.der})
			in := search(t, text, time.Time{})
			require.Len(t, in, 1)
			assert.Equal(t, "private-key: a private key in PEM: "+c.want, statements(in)[0])
			escaped := []byte(`{"key":"` + strings.ReplaceAll(string(text), "\n", `\n`) + `"}`)
			assert.Len(t, search(t, escaped, time.Time{}), 1, "with line ends as text")
			assert.Equal(t, search(t, c.der, time.Time{})[0].Digest, in[0].Digest, "one key, one digest")
			assert.Empty(t, search(t, []byte("-----BEGIN "+c.kind+"-----\n-----END "+c.kind+"-----"), time.Time{}), "a string of a library")
		})
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]string{
		"id=AKIAZ7MADEUPTEST2Q4X": "an AWS access key id", "x" + "AKIAZ7MADEUPTEST2Q4X": "", "AKIAXXXXXXXXXXXXXXXX": "", "AKIA": "",
		"ghp_abcdefghijklmnopqrstuvwxyz0123456789": "a GitHub token", "AIzaSyA-abcdefghijklmnopqrstuvwxyz01234": "a Google API key",
		"eyAiYWxnIjogIkhTMjU2IiB9.eyJzdWIiOiJkZXZpY2UifQ.bWFkZS11cC1zaWduYXR1cmUtZm9yLXRlc3Rz":    "a JSON Web Token",
		"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkZXZpY2UifQ.bWFkZS11cC1zaWduYXR1cmUtZm9yLXRlc3Rz": "a JSON Web Token",
		"mqtt://device:s3cr3tpw@broker.example":                                                   "a user and a password in a URL",
		"https://user:${PASSWORD}@host":                                                           "", "http://host:8080/path@x": "", "https://%s:%s@%s/": "",
		"PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: none\r\nComment: c\r\nPublic-Lines: 6\r\nAAAA": "a PuTTY private key: ssh-rsa",
	} {
		got := search(t, []byte("# "+text+"\n"), time.Time{})
		if want == "" {
			assert.Empty(t, got, text)
			continue
		}
		if assert.Len(t, got, 1, text) {
			assert.Equal(t, want, got[0].Statement)
			assert.NotContains(t, got[0].Digest, "s3cr3t")
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"/etc/app.conf", "password = hunter2\n", 1}, {"/etc/app.conf", "password=\n", 0}, {"/etc/app.conf", "password = ${PASSWORD}\n", 0}, {"/etc/app.conf", "password = ********\n", 0},
		{"/etc/app.conf", "# password = hunter2\n", 0}, {"/etc/app.conf", "password_file /etc/pw\n", 0}, {"/etc/mosquitto.conf", "password Sup3rSecret\n", 1},
		{"/etc/app.json", `{"db": {"password": "hunter2", "user": "x"}}`, 1}, {"/etc/app.xml", "<Password>hunter2</Password>", 1},
		{"/etc/config/wireless", "config wifi-iface\n\toption encryption 'psk2'\n\toption key 'wifikey99'\n", 1}, {"/etc/nsswitch.conf", "passwd: files\n", 0},
		{"/etc/pam.d/common", "password required pam_unix.so\n", 0}, {"/usr/share/doc/x/example.conf", "password = hunter2\n", 0}, {"/usr/bin/x.sh", "#!/bin/sh\nPASSWORD=\"hunter2\"\n", 1},
		{"/usr/bin/x.sh", "#!/bin/sh\nPASSWORD=\"$1\"\nread password\n", 0}, {"/www/login.js", `if (password == "") { secret: "abcdef123456" }`, 1},
		{"/etc/init.d/telnet", "telnetd -l /bin/sh\n", 1}, {"/etc/init.d/telnet", "telnetd -l /bin/login\n", 0}, {"/etc/rc.sh", "nc -l -p 99 -e /bin/sh\n", 1},
		{"/root/.ssh/authorized_keys", "command=\"x\" ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== a\n# ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ==\n", 1},
	} {
		got := Text(found.File{Name: c.name, Text: []byte(c.text)})
		assert.Len(t, got, c.want, "%s: %s: %v", c.name, c.text, got)
		for _, f := range got {
			assert.NotContains(t, f.Statement, "hunter2")
		}
	}
}

func TestCertificates(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	from := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "device\x1b[31m"}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0)},
		&x509.Certificate{Subject: pkix.Name{CommonName: "ca"}}, key.Public(), key)
	require.NoError(t, err)
	for _, b := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), append([]byte("xyz"), der...)} {
		assert.Empty(t, search(t, b, time.Time{}))
		assert.Empty(t, search(t, b, from.AddDate(0, 6, 0)))
		got := search(t, b, from.AddDate(2, 0, 0))
		require.Len(t, got, 1)
		assert.Equal(t, found.Expired, got[0].Kind)
		assert.NotContains(t, got[0].Statement, "\x1b")
		assert.Equal(t, found.NotYetValid, search(t, b, from.AddDate(-1, 0, 0))[0].Kind)
	}
}

func TestTestKeys(t *testing.T) {
	for h, name := range testKeys {
		b, err := hex.DecodeString(h)
		require.NoError(t, err)
		require.Len(t, b, 32)
		got := search(t, []byte("program "+string(b)), time.Time{})
		require.Len(t, got, 1)
		assert.Contains(t, got[0].Statement, name)
	}
}

// TestKeysOfTools reads what the tools of Debian write.
func TestKeysOfTools(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ tool, script, want string }{
		{"dropbearkey", "dropbearkey -t ed25519 -f $OUT", "a Dropbear private key: ssh-ed25519"},
		{"dropbearkey", "dropbearkey -t rsa -s 1024 -f $OUT", "a Dropbear private key: ssh-rsa 1024"},
		{"dropbearkey", "dropbearkey -t ecdsa -s 256 -f $OUT", "a Dropbear private key: ecdsa-sha2-nistp256"},
		{"ssh-keygen", "ssh-keygen -q -t ed25519 -N '' -f $OUT", "an OpenSSH private key: ssh-ed25519"},
		{"ssh-keygen", "ssh-keygen -q -t ecdsa -N secretpw -f $OUT", "an OpenSSH private key, encrypted with a password (ecdsa-sha2-nistp256)"},
		{"openssl", "openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out $OUT", "a private key in PEM, encrypted with a password (ENCRYPTED PRIVATE KEY)"},
		{"openssl", "openssl ecparam -name secp256k1 -genkey -noout -outform DER -out $OUT", "a private key in DER: EC on curve 1.3.132.0.10"},
		{"openssl", "openssl genrsa -traditional 512 2>/dev/null | openssl rsa -traditional -outform DER -out $OUT 2>/dev/null", "a private key in DER: RSA 512"},
		{"openssl", "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=x 2>/dev/null && openssl pkcs12 -export -inkey k -in c -passout pass:changeit -out $OUT", "a PKCS#12 key store with a private key that a usual password opens (number 2 of the list)"},
		{"openssl", "openssl pkcs12 -export -inkey k -in c -passout pass:changeit -macalg sha1 -out $OUT", "a PKCS#12 key store with a private key that a usual password opens (number 2 of the list)"},
		{"openssl", "openssl pkcs12 -export -inkey k -in c -passout pass: -macalg sha512 -out $OUT", "a PKCS#12 key store with a private key that a usual password opens (number 1 of the list)"},
		{"openssl", "openssl pkcs12 -export -inkey k -in c -passout pass:not-on-any-list -out $OUT", "a PKCS#12 key store with a private key; no usual password opens it"},
	} {
		t.Run(c.want, func(t *testing.T) {
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skipf("%s is not installed", c.tool)
			}
			out := filepath.Join(t.TempDir(), "key")
			cmd := exec.Command("sh", "-e", "-c", c.script)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "OUT="+out)
			text, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", text)
			b, err := os.ReadFile(out)
			require.NoError(t, err)
			got := search(t, b, time.Time{})
			require.Len(t, got, 1, "%v", statements(got))
			assert.Equal(t, c.want, got[0].Statement)
		})
	}
}

func FuzzSearch(f *testing.F) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	der, err := x509.MarshalPKCS8PrivateKey(ed)
	require.NoError(f, err)
	f.Add(der)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	f.Add([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x40openssh-key-v1\x00PuTTY-User-Key-File-2: "))
	f.Add([]byte("0\x82\x01\x00\x02\x01\x030\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		search(t, b, time.Unix(0, 0))
		Text(found.File{Name: "/etc/x.conf", Text: b})
		Text(found.File{Name: "/root/.ssh/authorized_keys", Text: b})
	})
}
