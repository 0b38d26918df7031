package intercept

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// dial calls as a careless client does.
func (s *scene) dial(t *testing.T) *tls.Conn {
	t.Helper()
	raw, err := net.DialTimeout("tcp", s.at, 5*time.Second)
	require.NoError(t, err)
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: cloudName}) //nolint:gosec // on purpose
	t.Cleanup(func() { _ = raw.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	require.NoError(t, c.HandshakeContext(t.Context()))
	return c
}

func subject(c *tls.Conn) string { return c.ConnectionState().PeerCertificates[0].Subject.CommonName }

// TestStand: what answers changes for new calls, the device's old ones are hung up on, and the genuine cloud is given back.
func TestStand(t *testing.T) {
	p := newProduct(t, "ecdsa", nil)
	s := newScene(t, p.Cloud)
	hungUp := func(c net.Conn) {
		t.Helper()
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
		require.False(t, timedOut(err), "still connected")
	}
	first := s.dial(t)
	assert.Equal(t, cloudName, subject(first))

	st, err := s.Stand(t.Context(), probes.ViaHTTPS, probes.WrongHost)
	require.NoError(t, err)
	hungUp(first)
	assert.Equal(t, "https://"+cloudName+":"+s.port, st.URL())
	assert.Empty(t, st.Calls())
	second := s.dial(t)
	assert.Equal(t, WrongName, subject(second))

	// Another takes the place; closing the first one then changes nothing.
	other, err := s.Stand(t.Context(), probes.ViaHTTPS, probes.SelfSigned)
	require.NoError(t, err)
	hungUp(second)
	require.NoError(t, st.Close())
	third := s.dial(t)
	assert.Equal(t, third.ConnectionState().PeerCertificates[0].RawIssuer, third.ConnectionState().PeerCertificates[0].RawSubject)
	require.NoError(t, other.Close())
	hungUp(third)
	assert.Len(t, st.Calls(), 1)
	assert.Len(t, other.Calls(), 1)

	// In pass-through nobody is hung up on, neither at its beginning nor at its end.
	fourth := s.dial(t)
	watch, err := s.Stand(t.Context(), probes.ViaHTTPS, probes.PassThrough)
	require.NoError(t, err)
	fifth := s.dial(t)
	require.NoError(t, watch.Close())
	for _, c := range []*tls.Conn{fourth, fifth} {
		_, err := io.WriteString(c, "GET / HTTP/1.0\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(c)
		require.NoError(t, err)
		assert.Contains(t, string(answer), "yes")
		assert.Equal(t, cloudName, subject(c))
	}
	require.Len(t, watch.Calls(), 1)
	assert.Equal(t, probes.PassThrough, watch.Calls()[0].Scenario)
	calls, err := s.Calls(t.Context(), probes.ViaHTTPS)
	require.NoError(t, err)
	assert.Len(t, calls, 5)
	assert.NotEmpty(t, calls[0].CipherNames)
	assert.Equal(t, []string{"TLS 1.2", "TLS 1.3"}, []string{calls[0].Lowest, calls[0].Highest})

	// A genuine stand that is closed keeps the connection: it is the cloud's already. The next one hangs up on it.
	genuine, err := s.Stand(t.Context(), probes.ViaHTTPS, probes.Genuine)
	require.NoError(t, err)
	sixth := s.dial(t)
	require.NoError(t, genuine.Close())
	last, err := s.Stand(t.Context(), probes.ViaHTTPS, probes.Expired)
	require.NoError(t, err)
	hungUp(sixth)
	require.NoError(t, last.Close())

	for via, as := range map[string]probes.Scenario{"ftp": probes.Expired, probes.ViaMQTTS: probes.Genuine, probes.ViaHTTPS: "no-such"} {
		_, err = s.Stand(t.Context(), via, as)
		assert.ErrorIs(t, err, probes.ErrBench, via)
	}
	_, err = s.Calls(t.Context(), probes.ViaMQTTS)
	assert.ErrorIs(t, err, probes.ErrBench)
}

// TestOthers: who is not the device gets the genuine cloud, is not hung up on, and is not written down.
func TestOthers(t *testing.T) {
	p := newProduct(t, "ecdsa", nil)
	s := newSceneFor(t, p.Cloud, func(net.Addr) bool { return false })
	before := s.dial(t)
	st := s.stand(t, probes.ViaHTTPS, probes.UnknownCA)
	during := s.dial(t)
	assert.Equal(t, p.Genuine.Certificate[0], during.ConnectionState().PeerCertificates[0].Raw)
	for _, c := range []net.Conn{before, during} {
		_, err := io.WriteString(c, "GET / HTTP/1.0\r\n")
		require.NoError(t, err)
		said, err := io.ReadAll(c)
		require.NoError(t, err)
		assert.Contains(t, string(said), "yes")
	}
	assert.Empty(t, st.Calls())
}

// TestFlood: a device that opens connection after connection and says nothing, or rubbish, costs the bench a bounded number of
// seats, and the next one in turn is served.
func TestFlood(t *testing.T) {
	s := newScene(t, newProduct(t, "ecdsa", nil).Cloud)
	before := runtime.NumGoroutine()
	var open []net.Conn
	for n := range 3 * maxSeats {
		c, err := net.DialTimeout("tcp", s.at, 5*time.Second)
		require.NoError(t, err)
		if n%2 == 0 {
			_, _ = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		}
		open = append(open, c)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine()-before, maxSeats+16)
	for _, c := range open {
		_ = c.Close()
	}
	require.Eventually(t, func() bool {
		raw, err := net.DialTimeout("tcp", s.at, 5*time.Second)
		if err != nil {
			return false
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
		return tls.Client(raw, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()) == nil //nolint:gosec // on purpose
	}, 10*time.Second, 10*time.Millisecond)
	calls, err := s.Calls(t.Context(), probes.ViaHTTPS)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(calls), maxCalls)
	for _, c := range calls {
		assert.NotEmpty(t, c.Highest, "what carries no ClientHello is no call")
	}
}

// TestKeys: every connection's keys are logged, in a file for the owner only that begins with the first of them.
func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.log")
	k := NewKeys(file)
	assert.NoFileExists(t, file)
	for n := range 3 {
		_, err := fmt.Fprintf(k, "CLIENT_RANDOM %064x %096x\n", n, n)
		require.NoError(t, err)
	}
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, k.Lines(), kept)
	info, err := os.Stat(file)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		assert.EqualValues(t, 0o600, info.Mode().Perm())
	}
	_, err = k.Write(make([]byte, maxKeys))
	require.NoError(t, err, "a handshake does not break for it")
	assert.Len(t, k.Lines(), len(kept))
	assert.ErrorContains(t, k.Close(), "1 lines beyond")
	require.NoError(t, k.Close(), "a second time")

	lost := NewKeys(filepath.Join(t.TempDir(), "no", "such", "folder"))
	_, err = lost.Write([]byte("x\n"))
	require.NoError(t, err)
	require.Error(t, lost.Close())

	s := newScene(t, newProduct(t, "rsa", nil).Cloud)
	s.dial(t)
	assert.Equal(t, 1, strings.Count(string(s.keys.Lines()), "CLIENT_TRAFFIC_SECRET_0 "))
	assert.Equal(t, 1, strings.Count(string(s.keys.Lines()), "SERVER_HANDSHAKE_TRAFFIC_SECRET "))
}
