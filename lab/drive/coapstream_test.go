package drive

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	coaptcp "github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

// streamDevice is a device with CoAP over TCP, or over TLS.
func streamDevice(t *testing.T, secured *tls.Config) string {
	t.Helper()
	s := coaptcp.NewServer(options.WithMux(resources(t)), options.WithErrors(func(error) {}))
	if secured != nil {
		l, err := coapnet.NewTLSListener("tcp", "127.0.0.1:0", secured)
		require.NoError(t, err)
		serve(t, func() { s.Serve(l) }, func() { s.Stop(); l.Close() })
		return l.Addr().String()
	}
	l, err := coapnet.NewTCPListener("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serve(t, func() { s.Serve(l) }, func() { s.Stop(); l.Close() })
	return l.Addr().String()
}

func overCoAP(url string) dossier.Step {
	return dossier.Step{CoAP: &dossier.CoAPStep{URL: url}, Seconds: 3}
}

func TestCoAPStream(t *testing.T) {
	dir, ca := certificates(t)
	plain, guarded := "coap+tcp://"+streamDevice(t, nil), "coaps+tcp://"+streamDevice(t, serving(t, dir, ca))
	for name, url := range map[string]string{"tcp": plain, "tls": guarded} {
		t.Run(name, func(t *testing.T) {
			ask := func(path string, change ...func(*dossier.CoAPStep)) probes.Result {
				s := overCoAP(url + path)
				if name == "tls" {
					s.CoAP.TLS = mutual(t, dir)
				}
				for _, c := range change {
					c(s.CoAP)
				}
				return try(t, s)
			}
			got := ask("/version")
			assert.Equal(t, probes.Done, got.Outcome, got.Detail)
			assert.Equal(t, `{"version":"1.0.0"}`, got.Text)
			assert.Equal(t, probes.Refused, ask("/unauthorized").Outcome)
			assert.Equal(t, probes.Limited, ask("/busy").Outcome)
			assert.Equal(t, "CoAP 4.04", ask("/nowhere").Detail)
			assert.Len(t, ask("/big").Text, 33000)
			long := strings.Repeat("a long way off ", 300)
			assert.Equal(t, "CoAP 2.04", ask("/location", func(c *dossier.CoAPStep) { c.Method, c.Payload = "PUT", long }).Detail)
			assert.Equal(t, long, ask("/location").Text)
		})
	}
	s := overCoAP(guarded + "/version")
	got := try(t, s)
	assert.Contains(t, []probes.Outcome{probes.Refused, probes.Reset}, got.Outcome, "no certificate: %s", got.Detail)
	strange, _ := certificates(t)
	s.CoAP.TLS = mutual(t, dir)
	s.CoAP.TLS.CA = filepath.Join(strange, "ca.pem")
	assert.Equal(t, errStranger.Error(), try(t, s).Detail)
}

func TestCoAPStreamOutcomes(t *testing.T) {
	settings := "\x00\xe1" // an empty CSM
	for _, c := range []struct {
		name   string
		device string
		want   probes.Outcome
	}{
		{"closed port", closedPort(t, "tcp"), probes.Unreachable},
		{"is silent", tcp(t, hangs), probes.Silent},
		{"is silent after its settings", tcp(t, says(settings)), probes.Silent},
		{"hangs up", tcp(t, closes), probes.Reset},
		{"resets", tcp(t, resets), probes.Reset},
		{"garbage without end", tcp(t, floods("\xf1\xff\xff\xff\xff"+garbage(4096))), probes.Malformed},
		{"a message of 4 GiB", tcp(t, says("\xf0\xff\xff\xff\xff\x45")), probes.Malformed},
		{"options that are cut short", tcp(t, says("\x10\x45\xff")), probes.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := overCoAP("coap+tcp://" + c.device + "/")
			s.Seconds = 0.5
			got := try(t, s)
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.NotEmpty(t, got.Detail)
		})
	}
}

// ticking is a device whose /ticks changes as long as somebody watches.
func ticking(t *testing.T, hangUp bool) string {
	t.Helper()
	r := resources(t)
	require.NoError(t, r.Handle("/ticks", mux.HandlerFunc(func(w mux.ResponseWriter, m *mux.Message) {
		if at, err := m.Options().Observe(); err != nil || at != 0 {
			w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte("once")))
			return
		}
		conn, token := w.Conn(), m.Token()
		go func() {
			for n := range uint32(1000) {
				p := conn.AcquireMessage(conn.Context())
				p.SetCode(codes.Content)
				p.SetToken(token)
				p.SetObserve(n + 2)
				p.SetContentFormat(message.TextPlain)
				p.SetBody(bytes.NewReader([]byte("tick " + strconv.Itoa(int(n)))))
				if conn.WriteMessage(p) != nil || hangUp && n == 2 {
					conn.Close()
					return
				}
			}
		}()
	})))
	s := coaptcp.NewServer(options.WithMux(r), options.WithErrors(func(error) {}))
	l, err := coapnet.NewTCPListener("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serve(t, func() { s.Serve(l) }, func() { s.Stop(); l.Close() })
	return l.Addr().String()
}

func TestCoAPObserve(t *testing.T) {
	watching := func(address, path, success string) probes.Result {
		s := overCoAP("coap+tcp://" + address + path)
		s.CoAP.Observe, s.Success = 2, success
		return try(t, s)
	}
	steady := ticking(t, false)
	got := watching(steady, "/ticks", "reply.notifications.exists(n, n.payload == 'tick 7') && reply.payload == 'tick 0'")
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Contains(t, got.Text, "tick 7")
	got = watching(steady, "/ticks", "reply.notifications.exists(n, n.payload == 'tock')")
	assert.Equal(t, probes.Unexpected, got.Outcome, got.Detail)
	got = watching(ticking(t, true), "/ticks", "reply.notifications.size() == 99")
	assert.Equal(t, probes.Reset, got.Outcome, got.Detail)
	got = watching(steady, "/version", "")
	assert.Equal(t, probes.Unexpected, got.Outcome, got.Detail)
	assert.Contains(t, got.Detail, "does not let the resource be observed")
	got = watching(steady, "/forbidden", "")
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	got = watching(tcp(t, func(c net.Conn) { io.Copy(io.Discard, c) }), "/", "")
	assert.Equal(t, probes.Silent, got.Outcome, got.Detail)
}

func TestCoAPClientCertificate(t *testing.T) {
	dir, ca := certificates(t)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	require.NoError(t, err)
	address := secured(t, dtls.WithCertificates(pair), dtls.WithClientAuth(dtls.RequireAndVerifyClientCert), dtls.WithClientCAs(ca))
	step := overCoAP("coaps://" + address + "/version")
	got := try(t, step)
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	step.CoAP.TLS = mutual(t, dir)
	got = try(t, step)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
}

// libcoap over each of its transports: block-wise both ways, certificates, observation.
func TestLibcoapTransports(t *testing.T) {
	for _, program := range []string{"coap-server-openssl", "coap-server-gnutls"} {
		t.Run(program, func(t *testing.T) {
			path := installed(t, program, "libcoap3-bin")
			dir, _ := certificates(t)
			plain, secure := twoPorts(t)
			start(t, path, "-A", "127.0.0.1", "-p", strconv.Itoa(plain), "-d", "10", "-v", "4",
				"-c", dir+"/server.pem", "-j", dir+"/server.key", "-C", dir+"/ca.pem")
			ask := func(scheme, path string) dossier.Step {
				port := plain
				s := overCoAP("")
				s.Seconds = 8
				if strings.HasPrefix(scheme, "coaps") {
					port, s.CoAP.TLS = secure, mutual(t, dir)
				}
				s.CoAP.URL = scheme + "://127.0.0.1:" + strconv.Itoa(port) + path
				return s
			}
			require.Equal(t, probes.Done, until(t, driver(t, steps(ask("coap+tcp", "/"))), nil).Outcome)
			for _, scheme := range []string{"coap", "coap+tcp", "coaps", "coaps+tcp"} {
				long := strings.Repeat("sixteen letters ", 400) // 6400 bytes: six blocks and a half
				put := ask(scheme, "/example_data")
				put.CoAP.Method, put.CoAP.Payload, put.CoAP.Format = "PUT", long, "text/plain"
				got := try(t, put)
				require.Equal(t, probes.Done, got.Outcome, "%s: %s", scheme, got.Detail)
				got = try(t, ask(scheme, "/example_data"))
				require.Equal(t, probes.Done, got.Outcome, "%s: %s", scheme, got.Detail)
				assert.Equal(t, long, got.Text, scheme)

				watch := ask(scheme, "/time")
				watch.CoAP.Observe, watch.Success = 8, "reply.notifications.size() >= 2"
				began := time.Now()
				got = try(t, watch)
				assert.Equal(t, probes.Done, got.Outcome, "%s: %s", scheme, got.Detail)
				assert.Less(t, time.Since(began), 8*time.Second, "it ends when the recipe is content")
			}
		})
	}
}
