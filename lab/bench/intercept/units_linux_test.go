package intercept

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// hostIs tells a caller by its address: all of 127.0.0.0/8 is this machine's.
func hostIs(ip string) func(net.Addr) bool {
	return func(a net.Addr) bool {
		at, ok := a.(*net.TCPAddr)
		return ok && at.IP.String() == ip
	}
}

// careful calls from an address as a client that verifies.
func (s *scene) careful(t *testing.T, p product, from string) (*tls.Conn, error) {
	t.Helper()
	text, err := os.ReadFile(p.root)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(text))
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 20 * time.Second},
		Config:    &tls.Config{RootCAs: roots, ServerName: cloudName},
	}
	c, err := d.DialContext(t.Context(), "tcp", s.at)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c.(*tls.Conn), nil
}

// served tells whether who stands there answers.
func served(t *testing.T, c io.ReadWriter) bool {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	b, _ := io.ReadAll(c)
	return len(b) > 0
}

// TestUnits: what is presented to one unit is presented to no other, whose connections stay and whose calls are its own.
func TestUnits(t *testing.T) {
	const one, two, stranger = "127.0.0.2", "127.0.0.3", "127.0.0.4"
	p := newProduct(t, "ecdsa", nil)
	var second *Unit
	s := newSceneFor(t, p.Cloud, hostIs(one), func(i *Interceptor) { second = i.Another("unit-2", hostIs(two)) })
	calls := func(u *Unit) []probes.Call {
		all, err := u.Calls(t.Context(), probes.ViaHTTPS)
		require.NoError(t, err)
		return all
	}
	mine, err := s.careful(t, p, one)
	require.NoError(t, err)
	theirs, err := s.careful(t, p, two)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(calls(s.Unit)) == 1 && len(calls(second)) == 1 }, 10*time.Second, time.Millisecond)

	first, err := s.Stand(t.Context(), probes.ViaHTTPS, probes.UnknownCA)
	require.NoError(t, err)
	_, err = io.ReadAll(mine)
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it was hung up on")
	assert.True(t, served(t, theirs), "the other was not")
	_, err = s.careful(t, p, one)
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
	for _, from := range []string{two, stranger} {
		c, err := s.careful(t, p, from)
		require.NoError(t, err, from)
		assert.True(t, served(t, c), from)
	}
	require.Eventually(t, func() bool { return len(first.Calls()) == 1 && len(calls(second)) == 2 }, 10*time.Second, time.Millisecond)
	for _, c := range calls(second) {
		assert.Equal(t, probes.Genuine, c.Scenario)
	}

	// Both at once, each with its own.
	other, err := second.Stand(t.Context(), probes.ViaHTTPS, probes.Expired)
	require.NoError(t, err)
	_, err = s.careful(t, p, two)
	var invalid x509.CertificateInvalidError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, x509.Expired, invalid.Reason)
	_, err = s.careful(t, p, one)
	require.ErrorAs(t, err, &unknown)
	require.NoError(t, first.Close())
	c, err := s.careful(t, p, one)
	require.NoError(t, err, "the genuine one is back")
	assert.True(t, served(t, c))
	_, err = s.careful(t, p, two)
	require.ErrorAs(t, err, &invalid, "for the first alone")
	require.NoError(t, other.Close())
	require.Eventually(t, func() bool { return len(other.Calls()) == 2 && len(first.Calls()) == 2 }, 10*time.Second, time.Millisecond)
	assert.Len(t, calls(s.Unit), 4)
	assert.Len(t, calls(second), 4, "and the stranger's is nobody's")
}
