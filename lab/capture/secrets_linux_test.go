package capture

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// liveSecrets captures real TLS on loopback and has tshark read it with no option but the file's name.
func liveSecrets(t *testing.T) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("needs tshark: apt-get install tshark")
	}
	setUp(t, "lo")
	path := filepath.Join(t.TempDir(), "run.pcapng")
	c, err := Open(t.Context(), Options{Interface: "lo", Path: path, Clock: wall{}})
	if err != nil {
		t.Skip(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l, err := tls.Listen("tcp", "127.0.0.1:443", &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: version, KeyLogWriter: c.KeyLog(),
		})
		require.NoError(t, err)
		served := make(chan struct{})
		go func() {
			defer close(served)
			s, err := l.Accept()
			if err != nil {
				return
			}
			defer s.Close()
			_, err = s.Read(make([]byte, 4096))
			assert.NoError(t, err)
			_, err = io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			assert.NoError(t, err)
		}()
		client, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", "127.0.0.1:443", &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		_, err = io.WriteString(client, "GET /hidden HTTP/1.1\r\nHost: device.example\r\n\r\n")
		require.NoError(t, err)
		_, err = io.ReadAll(client)
		require.NoError(t, err)
		require.NoError(t, client.Close())
		require.NoError(t, l.Close())
		<-served
	}
	m := mark(t, c)
	require.NoError(t, c.Close())
	out, err := exec.CommandContext(t.Context(), program, "-n", "-r", path, "-Y", "http.request", "-T", "fields", "-e", "http.request.uri").Output()
	require.NoError(t, err)
	assert.Equal(t, []string{"/hidden", "/hidden"}, strings.Fields(string(out)), "TLS 1.2 and 1.3")
	lines, err := Describe(path, 1, 0, 0)
	require.NoError(t, err)
	assert.Len(t, lines, int(m.Frame), "every frame is still there, under its number")
}
