package drive

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	coapdtls "github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	coapudp "github.com/plgd-dev/go-coap/v3/udp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

const labelKey = "00112233445566778899aabbccddeeff"

// resources are a device's, with one value that can be read and written, and one answer of each kind.
func resources(t *testing.T) *mux.Router {
	t.Helper()
	r := mux.NewRouter()
	big := strings.Repeat("block-wise ", 3000)
	stored := "nowhere"
	handle := func(path string, code codes.Code, body func(*mux.Message) string) {
		require.NoError(t, r.Handle(path, mux.HandlerFunc(func(w mux.ResponseWriter, m *mux.Message) {
			w.SetResponse(code, message.TextPlain, bytes.NewReader([]byte(body(m))))
		})))
	}
	say := func(s string) func(*mux.Message) string { return func(*mux.Message) string { return s } }
	handle("/version", codes.Content, say(`{"version":"1.0.0"}`))
	handle("/big", codes.Content, say(big))
	handle("/unauthorized", codes.Unauthorized, say(""))
	handle("/forbidden", codes.Forbidden, say(""))
	handle("/busy", codes.TooManyRequests, say(""))
	handle("/broken", codes.InternalServerError, say("oh"))
	handle("/query", codes.Content, func(m *mux.Message) string {
		q, _ := m.Queries()
		return strings.Join(q, ",")
	})
	require.NoError(t, r.Handle("/location", mux.HandlerFunc(func(w mux.ResponseWriter, m *mux.Message) {
		if m.Code() == codes.PUT {
			b, _ := io.ReadAll(m.Body())
			stored = string(b)
			w.SetResponse(codes.Changed, message.TextPlain, nil)
			return
		}
		w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte(stored)))
	})))
	return r
}

func quiet() dtls.Option {
	return dtls.WithLoggerFactory(&logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled})
}

// secured is a device with CoAP over DTLS; plain is one without.
func secured(t *testing.T, o ...dtls.ServerOption) string {
	t.Helper()
	l, err := coapnet.NewDTLSListener("udp", "127.0.0.1:0", coapnet.NewDTLSServerOptions(append(o, quiet())...))
	require.NoError(t, err)
	s := coapdtls.NewServer(options.WithMux(resources(t)), options.WithErrors(func(error) {}))
	serve(t, func() { s.Serve(l) }, func() { s.Stop(); l.Close() })
	return l.Addr().String()
}

func plain4(t *testing.T) string {
	t.Helper()
	l, err := coapnet.NewListenUDP("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := coapudp.NewServer(options.WithMux(resources(t)), options.WithErrors(func(error) {}))
	serve(t, func() { s.Serve(l) }, func() { s.Stop(); l.Close() })
	return l.LocalAddr().String()
}

func serve(t *testing.T, run, stop func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); run() }()
	t.Cleanup(func() { stop(); <-done })
}

// labelled asks for the key of the label; an unknown identity gets an alert.
func labelled() []dtls.ServerOption {
	return []dtls.ServerOption{
		dtls.WithPSK(func(identity []byte) ([]byte, error) {
			if string(identity) != serial {
				return nil, errors.New("who is this")
			}
			return keyOf("hex:" + labelKey), nil
		}),
		dtls.WithPSKIdentityHint([]byte("device")),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8),
	}
}

func shared(address, path string) dossier.Step {
	return dossier.Step{
		CoAP:    &dossier.CoAPStep{URL: "coaps://" + address + path, Identity: "{{username}}", Key: "hex:{{password}}"},
		Seconds: 1,
	}
}

func TestCoAPLogin(t *testing.T) {
	address := secured(t, labelled()...)
	d := driver(t, steps(shared(address, "/version")))
	right := probes.Args{"username": serial, "password": labelKey}
	assert.Equal(t, probes.Done, do(t, d, right).Outcome)

	got := do(t, d, probes.Args{"username": "nobody", "password": labelKey})
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	assert.Contains(t, got.Detail, "DTLS alert: ")
	for _, wrong := range []string{"ffeeddccbbaa99887766554433221100", "admin", ""} {
		got = do(t, d, probes.Args{"username": serial, "password": wrong})
		assert.Equal(t, probes.Silent, got.Outcome, "this server drops what it cannot decrypt: %s", got.Detail)
		assert.Equal(t, "the DTLS handshake began, then no answer in time", got.Detail)
	}
	assert.Equal(t, probes.Done, do(t, d, right).Outcome)

	_, err := d.Do(t.Context(), "login-it", nil)
	require.ErrorIs(t, err, probes.ErrNoOperation, "nobody can be tried; candidates can")
	assert.ErrorContains(t, err, "anonymous recipe")
}

func TestCoAPSuites(t *testing.T) {
	for _, suite := range []dtls.CipherSuiteID{
		dtls.TLS_PSK_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_256_CCM_8, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
		dtls.TLS_PSK_WITH_AES_128_CBC_SHA256, dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
	} {
		address := secured(t, append(labelled()[:2], dtls.WithCipherSuites(suite))...)
		got := do(t, driver(t, steps(shared(address, "/version"))), probes.Args{"username": serial, "password": labelKey})
		assert.Equal(t, probes.Done, got.Outcome, "%v: %s", suite, got.Detail)
	}
}

func TestCoAPCertificates(t *testing.T) {
	certificate, err := selfSigned()
	require.NoError(t, err)
	address := secured(t, dtls.WithCertificates(certificate))
	step := dossier.Step{CoAP: &dossier.CoAPStep{URL: "coaps://" + address + "/version"}, Seconds: 2}
	assert.Equal(t, probes.Done, try(t, step).Outcome)

	trust := func(der []byte) probes.Result {
		return do(t, driver(t, steps(step), func(o *Options) {
			o.Dossier.Trust = []dossier.Anchor{{For: "device", File: pemFile(t, der)}}
		}), nil)
	}
	assert.Equal(t, probes.Done, trust(certificate.Certificate[0]).Outcome)
	got := trust(strangerDER(t))
	assert.Equal(t, probes.Unexpected, got.Outcome)
	assert.Equal(t, errStranger.Error(), got.Detail)

	// A server that knows only keys turns away who has none.
	step.CoAP.URL = "coaps://" + secured(t, labelled()...) + "/version"
	assert.Equal(t, probes.Refused, try(t, step).Outcome)
}

func TestCoAPRequests(t *testing.T) {
	udpAddress, dtlsAddress := plain4(t), secured(t, labelled()...)
	args := probes.Args{"username": serial, "password": labelKey, "value": "a&b"}
	for _, c := range []struct {
		name string
		make func(path string) dossier.Step
	}{
		{"udp", func(path string) dossier.Step {
			return dossier.Step{CoAP: &dossier.CoAPStep{URL: "coap://" + udpAddress + path}, Seconds: 2}
		}},
		{"dtls", func(path string) dossier.Step { return shared(dtlsAddress, path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask := func(s dossier.Step) probes.Result { t.Helper(); return do(t, driver(t, steps(s)), args) }
			s := c.make("/version")
			s.Success, s.Capture = "reply.code == '2.05'", map[string]string{"version": "reply.json.version"}
			got := ask(s)
			assert.Equal(t, probes.Done, got.Outcome, got.Detail)
			assert.Equal(t, "1.0.0", got.Values["version"])

			assert.Equal(t, probes.Refused, ask(c.make("/unauthorized")).Outcome)
			assert.Equal(t, probes.Refused, ask(c.make("/forbidden")).Outcome)
			assert.Equal(t, probes.Limited, ask(c.make("/busy")).Outcome)
			got = ask(c.make("/broken"))
			assert.Equal(t, probes.Unexpected, got.Outcome)
			assert.Equal(t, "CoAP 5.00: oh", got.Detail)
			assert.Equal(t, "CoAP 4.04", ask(c.make("/nowhere")).Detail)
			assert.Equal(t, "v=a&b,w=1", ask(c.make("/query?v={{value}}&w=1")).Text)

			got = ask(c.make("/big"))
			assert.Equal(t, probes.Done, got.Outcome, got.Detail)
			assert.Len(t, got.Text, 33000)

			put := c.make("/location")
			put.CoAP.Method, put.CoAP.Format = "put", "text/plain"
			put.CoAP.Payload = "{{value}} " + strings.Repeat("a long way off ", 300)
			got = ask(put)
			assert.Equal(t, probes.Done, got.Outcome, got.Detail)
			assert.Equal(t, "CoAP 2.04", got.Detail)
			assert.Equal(t, "a&b "+strings.Repeat("a long way off ", 300), ask(c.make("/location")).Text)
		})
	}
}

func TestCoAPOutcomes(t *testing.T) {
	plain := func(address string) dossier.Step {
		return dossier.Step{CoAP: &dossier.CoAPStep{URL: "coap://" + address + "/"}, Seconds: 0.4}
	}
	keyed := func(address string) dossier.Step {
		return dossier.Step{CoAP: &dossier.CoAPStep{URL: "coaps://" + address + "/", Identity: "x", Key: "y"}, Seconds: 0.4}
	}
	nothing := func([]byte) []byte { return nil }
	nonsense := func([]byte) []byte { return []byte(garbage(64)) }
	for _, c := range []struct {
		name string
		step dossier.Step
		want probes.Outcome
	}{
		{"closed port", plain(closedPort(t, "udp")), probes.Unreachable},
		{"closed port for DTLS", keyed(closedPort(t, "udp")), probes.Unreachable},
		{"no such name", plain("device.invalid"), probes.Unreachable},
		{"says nothing", plain(udp(t, nothing)), probes.Silent},
		{"says nothing to a handshake", keyed(udp(t, nothing)), probes.Silent},
		{"garbage", plain(udp(t, nonsense)), probes.Malformed},
		{"garbage for a handshake", keyed(udp(t, nonsense)), probes.Malformed},
		{"one byte", plain(udp(t, func([]byte) []byte { return []byte{0x60} })), probes.Malformed},
		{"a CoAP reset", plain(udp(t, func(in []byte) []byte { return []byte{0x70, 0, in[2], in[3]} })), probes.Reset},
		{"an acknowledgement and no more", plain(udp(t, func(in []byte) []byte { return []byte{0x60, 0, in[2], in[3]} })), probes.Silent},
		{"an answer to another", plain(udp(t, func(in []byte) []byte { return []byte{0x51, 0x45, 9, 9, 7} })), probes.Silent},
		{"an empty answer", plain(udp(t, func(in []byte) []byte {
			return append([]byte{0x60 | in[0]&15, 0x45, in[2], in[3]}, in[4:4+in[0]&15]...)
		})), probes.Done},
		{"a fatal alert", keyed(udp(t, alert(2, 40))), probes.Refused},
		{"an alert that says goodbye", keyed(udp(t, alert(1, 0))), probes.Refused},
		{"a DTLS record of nonsense, which RFC 6347 4.1.2.7 has us drop", keyed(udp(t, func([]byte) []byte {
			return append([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32}, garbage(32)...)
		})), probes.Silent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := try(t, c.step)
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.NotEmpty(t, got.Detail)
		})
	}
}

// alert answers with a plain DTLS 1.2 alert: RFC 6347 4.1, RFC 5246 7.2.
func alert(level, description byte) func([]byte) []byte {
	return func([]byte) []byte {
		return []byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, level, description}
	}
}

// A request that the network lost is sent again.
func TestCoAPRetransmits(t *testing.T) {
	lost := true
	address := udp(t, func(in []byte) []byte {
		if lost {
			lost = false
			return nil
		}
		return append([]byte{0x60 | in[0]&15, 0x45, in[2], in[3]}, in[4:4+in[0]&15]...)
	})
	got := try(t, dossier.Step{CoAP: &dossier.CoAPStep{URL: "coap://" + address + "/"}, Seconds: 5})
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
}

func TestCoAPBadRecipes(t *testing.T) {
	for want, c := range map[string]dossier.CoAPStep{
		`CoAP has no "HEAD"`:          {URL: "coap://127.0.0.1/", Method: "HEAD"},
		"no CoAP content format":      {URL: "coap://127.0.0.1/", Format: "image/x-nothing"},
		`scheme "http" is none of`:    {URL: "http://127.0.0.1/"},
		`variable "value" is unknown`: {URL: "coap://127.0.0.1/", Payload: "{{value}}"},
		"address 99999: invalid port": {URL: "coap://127.0.0.1:99999/"},
	} {
		_, err := driver(t, steps(dossier.Step{CoAP: &c})).Do(t.Context(), "it", nil)
		require.ErrorIs(t, err, probes.ErrBench)
		assert.ErrorContains(t, err, want)
	}
}

func TestKeyOf(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "hex:6162": "ab", "hex:": "", "hex:xyz": "xyz", "hex:616": "616"} {
		assert.Equal(t, want, string(keyOf(in)))
	}
}

// The checks before the libraries never fail by panic, and let pass only what has a header.
func FuzzDatagrams(f *testing.F) {
	f.Add([]byte{0x60, 0x45, 0, 1})
	f.Add([]byte{0x48, 0x45, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 'x'})
	f.Add(alert(2, 40)(nil))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if seeCoAP(datagram) == nil && len(datagram) < 4 {
			t.Fatalf("%x is no CoAP message", datagram)
		}
		if seeDTLS(datagram) == nil && len(datagram) < 13 {
			t.Fatalf("%x is no DTLS record", datagram)
		}
	})
}
