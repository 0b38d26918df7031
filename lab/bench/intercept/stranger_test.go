package intercept

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// sClient lets openssl call and say one line; careful clients verify chain and name.
func (s *scene) sClient(t *testing.T, careful bool, root string, more ...string) string {
	t.Helper()
	args := []string{"s_client", "-connect", s.at, "-servername", cloudName, "-quiet"}
	if careful {
		args = append(args, "-CAfile", root, "-verify_return_error", "-verify_hostname", cloudName)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, needs(t, "openssl"), append(args, more...)...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // what it did is told by the stand
	return out.String()
}

// lax makes a client of today take what clients of its day took.
func lax(s probes.Scenario) []string {
	switch s {
	case probes.OldVersion:
		return []string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}
	case probes.WeakKey:
		return []string{"-cipher", "DEFAULT@SECLEVEL=0"}
	}
	return nil
}

// TestOpenSSL: verification refuses every impostor and believes the genuine cloud; without it every one is believed.
func TestOpenSSL(t *testing.T) {
	for kind := range kinds {
		p := newProduct(t, kind, nil)
		s := newScene(t, p.Cloud)
		for _, as := range probes.Scenarios {
			if as == probes.PassThrough {
				continue
			}
			t.Run(kind+"/"+string(as), func(t *testing.T) {
				st := s.stand(t, probes.ViaHTTPS, as)
				said := s.sClient(t, true, p.root)
				c := last(t, st, 1)
				believed := as == probes.Genuine
				assert.Equal(t, believed, c.Finished, said)
				assert.Equal(t, believed, c.Bytes > 0, said)
				assert.Equal(t, cloudName, c.SNI)
				if !believed && as != probes.OldVersion {
					assert.NotEmpty(t, c.Alert, said)
				}
				said = s.sClient(t, false, "", lax(as)...)
				c = last(t, st, 2)
				assert.True(t, c.Finished && c.Bytes > 0, "%s: %+v", said, c)
				assert.Equal(t, "http", c.Protocol)
				assert.Equal(t, as, c.Scenario)
				assert.Equal(t, map[bool]string{true: "TLS 1.1", false: "TLS 1.3"}[as == probes.OldVersion], c.Version)
			})
		}
	}
}

// TestPlainRSA: a client whose only key exchange is that of RSA, as small ones have it, speaks to its genuine cloud, and so
// it can be told whether it believes others.
func TestPlainRSA(t *testing.T) {
	p := newProduct(t, "rsa", nil)
	s := newScene(t, p.Cloud)
	for n, as := range []probes.Scenario{probes.Genuine, probes.UnknownCA} {
		st := s.stand(t, probes.ViaHTTPS, as)
		said := s.sClient(t, true, p.root, "-tls1_2", "-cipher", "AES128-SHA")
		c := last(t, st, 1)
		assert.Equal(t, n == 0, c.Finished && c.Bytes > 0, "%s: %s", as, said)
	}
}

// TestCurl: as openssl, but with curl's own comparison of names.
func TestCurl(t *testing.T) {
	curl := needs(t, "curl")
	p := newProduct(t, "ecdsa", nil)
	s := newScene(t, p.Cloud)
	call := func(more ...string) (string, error) {
		url := "https://" + cloudName + ":" + s.port + "/"
		args := append([]string{"--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--resolve", cloudName + ":" + s.port + ":127.0.0.1"}, more...)
		out, err := exec.CommandContext(t.Context(), curl, append(args, url)...).CombinedOutput()
		return string(out), err
	}
	for _, as := range probes.Scenarios {
		if as == probes.PassThrough {
			continue
		}
		t.Run(string(as), func(t *testing.T) {
			st := s.stand(t, probes.ViaHTTPS, as)
			said, err := call("--cacert", p.root)
			c := last(t, st, 1)
			if as == probes.Genuine {
				require.NoError(t, err, said)
				assert.Equal(t, "yes", said)
			} else {
				require.Error(t, err, said)
				assert.Zero(t, c.Bytes, said)
			}
			more := []string{"--insecure"}
			switch as {
			case probes.OldVersion:
				more = append(more, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
			case probes.WeakKey:
				more = append(more, "--ciphers", "DEFAULT@SECLEVEL=0")
			}
			said, err = call(more...)
			require.NoError(t, err, said)
			c = last(t, st, 2)
			assert.True(t, c.Finished && c.Bytes > 0 && c.Protocol == "http", "%+v", c)
		})
	}
}

// TestNoResumption: a client that keeps its session of one scenario cannot go on with it in the next, in either version.
func TestNoResumption(t *testing.T) {
	p := newProduct(t, "ecdsa", nil)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			s := newScene(t, p.Cloud)
			session := filepath.Join(p.dir, "session"+version)
			first := s.stand(t, probes.ViaHTTPS, probes.Genuine)
			s.sClient(t, true, p.root, version, "-sess_out", session)
			require.Positive(t, last(t, first, 1).Bytes)

			again := s.stand(t, probes.ViaHTTPS, probes.Expired)
			args := []string{version}
			if _, err := os.Stat(session); err == nil { // TLS 1.2 has a session worth keeping even without a ticket
				args = append(args, "-sess_in", session)
			}
			said := s.sClient(t, true, p.root, args...)
			c := last(t, again, 1)
			assert.False(t, c.Resumed || c.Finished || c.Bytes > 0, "it looked at the certificate anew: %s", said)

			said = s.sClient(t, false, "", args...)
			c = last(t, again, 2)
			assert.True(t, c.Finished && !c.Resumed, "a whole handshake: %s", said)
		})
	}
	// A server that hands tickets out is gone on with: the test above would notice.
	c := tls.Config{Certificates: []tls.Certificate{*p.Genuine}, MaxVersion: tls.VersionTLS12}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	resumed := make(chan bool, 2)
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			conn := tls.Server(raw, &c)
			if conn.HandshakeContext(t.Context()) == nil {
				resumed <- conn.ConnectionState().DidResume
			}
			answer(conn)
		}
	}()
	s := &scene{at: l.Addr().String()}
	session := filepath.Join(p.dir, "control")
	s.sClient(t, true, p.root, "-tls1_2", "-sess_out", session)
	require.False(t, <-resumed)
	s.sClient(t, true, p.root, "-tls1_2", "-sess_in", session)
	require.True(t, <-resumed)
}

// TestOpenSSLOverDTLS: the same impostors over datagrams.
func TestOpenSSLOverDTLS(t *testing.T) {
	openssl := needs(t, "openssl")
	p := newProduct(t, "ecdsa", nil)
	keys := NewKeys("")
	i := New(Options{Cloud: p.Cloud, Now: time.Now, Keys: keys})
	four, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	six, err := net.ListenPacket("udp", "[::1]:0")
	require.NoError(t, err)
	door := i.DTLSDoor(t.Context(), probes.ViaCoAPS, "coaps://"+cloudName, func(net.Addr, []byte) []byte { return []byte("yes") }, four, six)
	defer func() { require.NoError(t, door.Close()) }()
	s := &scene{Interceptor: i, at: door.Addr().String()}
	ping := "\x40\x00\x00\x01\n" // a CoAP ping; s_client reads lines
	for _, as := range probes.Scenarios {
		if as == probes.PassThrough || as == probes.OldVersion {
			continue
		}
		t.Run(string(as), func(t *testing.T) {
			st := s.stand(t, probes.ViaCoAPS, as)
			for n, careful := range []bool{true, false} {
				at := s.at
				if !careful {
					at = six.LocalAddr().String()
				}
				args := []string{"s_client", "-dtls1_2", "-connect", at, "-servername", cloudName, "-quiet"}
				if careful {
					args = append(args, "-CAfile", p.root, "-verify_return_error", "-verify_hostname", cloudName)
				}
				args = append(args, lax(as)...)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				cmd := exec.CommandContext(ctx, openssl, args...)
				line, err := cmd.StdinPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				_, _ = line.Write([]byte(ping))
				believes := !careful || as == probes.Genuine
				if careful && as == probes.WeakKey {
					believes = true // with the level of security that makes it talk at all it minds no length
				}
				var c probes.Call
				require.Eventually(t, func() bool {
					calls := st.Calls()
					if len(calls) <= n {
						return false
					}
					c = calls[n]
					return c.Bytes > 0 || c.Ended
				}, 15*time.Second, time.Millisecond)
				_ = line.Close()
				cancel()
				_ = cmd.Wait()
				assert.Equal(t, believes, c.Bytes > 0, "%v: %+v", careful, c)
				assert.Equal(t, cloudName, c.SNI)
				if believes {
					assert.Equal(t, "coap", c.Protocol)
					assert.Equal(t, "DTLS 1.2", c.Version)
				} else {
					assert.NotEmpty(t, c.Alert)
				}
			}
		})
	}
	assert.Contains(t, string(keys.Lines()), "CLIENT_RANDOM ")
}
