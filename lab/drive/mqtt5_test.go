package drive

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

func login5(url string) dossier.Step { s := login(url); s.MQTT.Version = version5; return s }

func TestMQTT5Login(t *testing.T) {
	_, url := deviceBroker(t, false, nil)
	_, open := deviceBroker(t, true, nil)
	d := driver(t, steps(login5(url)))
	right := probes.Args{"username": "owner", "password": password}
	got := do(t, d, right)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	got = do(t, d, probes.Args{"username": "owner", "password": "admin"})
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	assert.Contains(t, got.Detail, "CONNACK 13")
	for url, want := range map[string]probes.Outcome{url: probes.Refused, open: probes.Done} {
		none, err := driver(t, steps(login5(url))).Do(t.Context(), "login-it", nil)
		require.NoError(t, err)
		assert.Equal(t, want, none.Outcome, none.Detail)
	}
}

func TestMQTT5Outcomes(t *testing.T) {
	const yes = "\x20\x03\x00\x00\x00"
	quick := func(address string) dossier.Step {
		return dossier.Step{MQTT: &dossier.MQTTStep{URL: "mqtt://" + address, Version: version5, Subscribe: "x", Listen: 0.3}, Seconds: 0.5}
	}
	then := func(words ...string) string {
		return tcp(t, func(c net.Conn) {
			for _, w := range words {
				c.Read(make([]byte, 512))
				io.WriteString(c, w)
			}
			io.Copy(io.Discard, c)
		})
	}
	for _, c := range []struct {
		name   string
		device string
		want   probes.Outcome
		detail string
	}{
		{"lets in", then(yes, "\x90\x04\x00\x01\x00\x01"), probes.Done, "no message came"},
		{"refuses", then("\x20\x03\x00\x87\x00"), probes.Refused, "CONNACK 135"},
		{"refuses in its own words", then("\x20\x08\x00\x86\x05\x1f\x00\x02no"), probes.Refused, "CONNACK 134: no"},
		{"has no room", then("\x20\x03\x00\x97\x00"), probes.Limited, "CONNACK 151"},
		{"refuses the topic", then(yes, "\x90\x04\x00\x01\x00\x87"), probes.Refused, "SUBACK 135"},
		{"sends us away", then(yes, "\xe0\x02\x87\x00"), probes.Refused, "DISCONNECT 135"},
		{"shuts down", then(yes, "\xe0\x02\x8b\x00"), probes.Reset, ""},
		{"closed port", closedPort(t, "tcp"), probes.Unreachable, ""},
		{"is silent", tcp(t, hangs), probes.Silent, ""},
		{"is silent after CONNACK", then(yes), probes.Silent, ""},
		{"hangs up", tcp(t, closes), probes.Reset, ""},
		{"speaks 3.1.1", then("\x20\x02\x00\x00"), probes.Malformed, ""},
		{"sends AUTH", then("\xf0\x00"), probes.Malformed, ""},
		{"garbage without end", tcp(t, floods(garbage(4096))), probes.Malformed, ""},
		{"256 MiB", then("\x20\xff\xff\xff\x7f"), probes.Malformed, ""},
		{"another's SUBACK", then(yes, "\x90\x04\x00\x09\x00\x00"), probes.Malformed, ""},
		{"a topic alias", then(yes, "\x90\x04\x00\x01\x00\x00\x30\x06\x00\x00\x03\x23\x00\x01"), probes.Malformed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := try(t, quick(c.device))
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.Contains(t, got.Detail, c.detail)
		})
	}
	message := "\x30\x84\x20\x00\x01t\x00" + strings.Repeat("x", 4096)
	got := try(t, quick(tcp(t, func(c net.Conn) {
		c.Read(make([]byte, 512))
		io.WriteString(c, yes)
		c.Read(make([]byte, 512))
		io.WriteString(c, "\x90\x04\x00\x01\x00\x00")
		floods(message)(c)
	})))
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.LessOrEqual(t, len(got.Text), maxText)
}

// certificates makes a CA, and files of a server's and of a client's certificate under it.
func certificates(t *testing.T) (dir string, ca *x509.CertPool) {
	t.Helper()
	dir = t.TempDir()
	root, err := selfSigned()
	require.NoError(t, err)
	write := func(name, kind string, der []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644))
	}
	write("ca.pem", "CERTIFICATE", root.Certificate[0])
	for _, name := range []string{"server", "client"} {
		leaf := issuedBy(t, root)
		key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
		require.NoError(t, err)
		write(name+".pem", "CERTIFICATE", leaf.Certificate[0])
		write(name+".key", "PRIVATE KEY", key)
	}
	ca = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(root.Certificate[0])
	require.NoError(t, err)
	ca.AddCert(parsed)
	return dir, ca
}

// mutual is a step's TLS with the client's certificate of a folder, and its CA.
func mutual(t *testing.T, dir string) *dossier.TLS {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, "client.key"))
	require.NoError(t, err)
	secret := dossier.NewSecret(string(key))
	return &dossier.TLS{Certificate: filepath.Join(dir, "client.pem"), Key: &secret, CA: filepath.Join(dir, "ca.pem")}
}

// serving is a TLS configuration that wants a client's certificate.
func serving(t *testing.T, dir string, ca *x509.CertPool) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: ca, ClientAuth: tls.RequireAndVerifyClientCert}
}

func TestMosquittoWithCertificates(t *testing.T) {
	dir, _ := certificates(t)
	address := strings.TrimPrefix(mosquitto(t, "allow_anonymous true\nrequire_certificate true\ncafile "+dir+"/ca.pem\ncertfile "+dir+
		"/server.pem\nkeyfile "+dir+"/server.key\n"), "mqtt://")
	for _, version := range []string{"", version5} {
		step := login("mqtts://" + address)
		step.MQTT.Version, step.MQTT.Username, step.MQTT.Password, step.Seconds = version, "", "", 10
		step.MQTT.TLS = mutual(t, dir)
		got := until(t, driver(t, steps(step)), nil)
		assert.Equal(t, probes.Done, got.Outcome, got.Detail)

		strange, _ := certificates(t)
		step.MQTT.TLS.CA = filepath.Join(strange, "ca.pem")
		got = try(t, step)
		assert.Equal(t, errStranger.Error(), got.Detail, "the CA is believed and no other")
		step.MQTT.TLS = nil
		got = try(t, step)
		assert.Contains(t, []probes.Outcome{probes.Refused, probes.Reset}, got.Outcome, "a reset may overtake the alert: %s", got.Detail)
	}
}

func TestMosquittoMessages(t *testing.T) {
	url := mosquitto(t, "allow_anonymous true\n")
	require.Equal(t, probes.Done, until(t, driver(t, steps(login5(url))), probes.Args{"username": "x", "password": "y"}).Outcome)
	for _, version := range []string{"", version5} {
		for qos := range 3 {
			topic := "home/" + version + string(rune('a'+qos))
			put := dossier.Step{MQTT: &dossier.MQTTStep{URL: url, Version: version, QoS: &qos, Publish: topic, Payload: "kept", Retain: true}}
			got := try(t, put)
			require.Equal(t, probes.Done, got.Outcome, "QoS %d of %q: %s", qos, version, got.Detail)
			read := dossier.Step{
				MQTT:    &dossier.MQTTStep{URL: url, Version: version, QoS: &qos, Subscribe: topic, Listen: 5},
				Success: "reply.messages.exists(m, m.payload == 'kept' && m.retained)",
			}
			got = try(t, read)
			require.Equal(t, probes.Done, got.Outcome, "QoS %d of %q: %s", qos, version, got.Detail)
		}
		// A will comes out where the bench hangs up, and only there.
		topic := "gone/" + version
		leave := dossier.Step{MQTT: &dossier.MQTTStep{URL: url, Version: version, Will: &dossier.Will{Topic: topic, Payload: "{{unit}} gone", Retain: true, QoS: 1}}}
		watch := dossier.Step{MQTT: &dossier.MQTTStep{URL: url, Version: version, Subscribe: topic, Listen: 0.4}, Success: "reply.messages.exists(m, m.payload == 'one gone')"}
		require.Equal(t, probes.Done, try(t, leave).Outcome)
		assert.Equal(t, probes.Silent, try(t, watch).Outcome)
		leave.MQTT.HangUp, watch.MQTT.Listen = true, 5
		require.Equal(t, probes.Done, try(t, leave).Outcome)
		got := try(t, watch)
		assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	}
}

// Whatever a packet holds, it is read within bounds or refused.
func FuzzMQTT5(f *testing.F) {
	for _, seed := range []string{
		"\x20\x03\x00\x00\x00", "\x90\x04\x00\x01\x00\x01", "\x30\x06\x00\x01t\x00ab", "\x32\x08\x00\x01t\x00\x09\x00ab",
		"\xe0\x02\x87\x00", "\x20\x08\x00\x86\x05\x1f\x00\x02no", "\x40\x02\x00\x02", "\x20\x05\x00\x00\x02\x26\x00", "\xd0\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for r := bytes.NewReader(stream); r.Len() > 0; {
			packet, err := readFrame(r, r.Len() == len(stream), fromBroker5)
			if err != nil {
				return
			}
			if p, err := parsePacket5(packet); err == nil && p == nil {
				t.Fatalf("%x is nothing", packet)
			}
		}
	})
}
