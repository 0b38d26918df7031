package drive

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	brokerpackets "github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

// gate lets owner with the label's password in, and nobody subscribe to secret/.
type gate struct {
	broker.HookBase
	anonymous bool
}

func (*gate) Provides(b byte) bool {
	return b == broker.OnConnectAuthenticate || b == broker.OnACLCheck
}

func (g *gate) OnConnectAuthenticate(_ *broker.Client, p brokerpackets.Packet) bool {
	if !p.Connect.UsernameFlag {
		return g.anonymous
	}
	return string(p.Connect.Username) == "owner" && string(p.Connect.Password) == password
}

func (*gate) OnACLCheck(_ *broker.Client, topic string, _ bool) bool {
	return !strings.HasPrefix(topic, "secret/")
}

// deviceBroker is a broker on a device; with a TLS configuration it speaks only that.
func deviceBroker(t *testing.T, anonymous bool, secured *tls.Config) (*broker.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	scheme := "mqtt://"
	if secured != nil {
		l, scheme = tls.NewListener(l, secured), "mqtts://"
	}
	s := broker.New(&broker.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, s.AddHook(&gate{anonymous: anonymous}, nil))
	require.NoError(t, s.AddListener(listeners.NewNet("device", l)))
	require.NoError(t, s.Serve())
	t.Cleanup(func() { s.Close() })
	return s, scheme + l.Addr().String()
}

func login(url string) dossier.Step {
	return dossier.Step{MQTT: &dossier.MQTTStep{URL: url, Username: "{{username}}", Password: "{{password}}"}, Seconds: 2}
}

func TestMQTTLogin(t *testing.T) {
	certificate, err := selfSigned()
	require.NoError(t, err)
	for name, secured := range map[string]*tls.Config{"mqtt": nil, "mqtts": {Certificates: []tls.Certificate{certificate}}} {
		t.Run(name, func(t *testing.T) {
			_, url := deviceBroker(t, false, secured)
			_, open := deviceBroker(t, true, secured)
			d := driver(t, steps(login(url)))
			right, wrong := probes.Args{"username": "owner", "password": password}, probes.Args{"username": "owner", "password": "admin"}
			assert.Equal(t, probes.Done, do(t, d, right).Outcome)
			got := do(t, d, wrong)
			assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
			assert.Contains(t, []string{"CONNACK 4", "CONNACK 5", "CONNACK 134"}, got.Detail)
			assert.Equal(t, probes.Done, do(t, d, right).Outcome)

			none := func(url string) probes.Outcome {
				got, err := driver(t, steps(login(url))).Do(t.Context(), "login-it", nil)
				require.NoError(t, err)
				return got.Outcome
			}
			assert.Equal(t, probes.Refused, none(url))
			assert.Equal(t, probes.Done, none(open))
			_, err := d.Do(t.Context(), "it", nil)
			assert.ErrorContains(t, err, `variable "username" is unknown`, "only a login may go without")
		})
	}
}

func TestMQTTMessages(t *testing.T) {
	s, url := deviceBroker(t, true, nil)
	require.NoError(t, s.Publish("home/name", []byte(`{"name":"kitchen"}`), true, 0))
	require.NoError(t, s.Publish("home/blob", []byte{0xff, 0xfe, 'x'}, true, 0))
	subscribe := func(filter, success string) dossier.Step {
		return dossier.Step{
			MQTT: &dossier.MQTTStep{URL: url, Subscribe: filter, Listen: 0.4}, Success: success, Seconds: 2,
			Capture: map[string]string{"name": "reply.messages[0].json.name"},
		}
	}
	got := try(t, subscribe("home/name", "reply.messages.exists(m, m.topic == 'home/name' && m.retained)"))
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Equal(t, "kitchen", got.Values["name"])
	assert.Equal(t, "home/name {\"name\":\"kitchen\"}\n", got.Text)

	blob := subscribe("home/blob", "reply.messages[0].payload.endsWith('x')")
	blob.Capture = nil
	got = try(t, blob)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Contains(t, got.Text, "\xff\xfex")

	assert.Equal(t, probes.Silent, try(t, subscribe("home/nothing", "reply.messages.size() > 0")).Outcome)
	assert.Equal(t, probes.Unexpected, try(t, subscribe("home/name", "reply.messages[0].json.name == 'bath'")).Outcome)
	assert.Equal(t, probes.Refused, try(t, subscribe("secret/x", "reply.messages.size() > 0")).Outcome)

	// What is published with retain is there for the next operation.
	store := dossier.Step{MQTT: &dossier.MQTTStep{URL: url, Publish: "home/note", Payload: `{"note":"{{value}}"}`, Retain: true}}
	assert.Equal(t, probes.Done, do(t, driver(t, steps(store)), probes.Args{"value": "canary-1"}).Outcome)
	quiet := dossier.Step{MQTT: &dossier.MQTTStep{URL: url, Subscribe: "home/#", Listen: 0.3}}
	assert.Contains(t, try(t, quiet).Text, "canary-1")
}

func TestMQTTCloud(t *testing.T) {
	s, url := deviceBroker(t, false, nil)
	require.NoError(t, s.Publish("thermostat/x/status", []byte("1.0.0"), true, 0))
	step := dossier.Step{
		MQTT: &dossier.MQTTStep{URL: "cloud", Subscribe: "thermostat/+/status", Listen: 1}, Seconds: 0.5,
		Success: "reply.messages.size() == 1", Capture: map[string]string{"version": "reply.messages[0].payload"},
	}
	cloud := func(c Cloud) func(*Options) { return func(o *Options) { o.Cloud = c } }
	got := do(t, driver(t, steps(step), cloud(Cloud{URL: url, Username: "owner", Password: password})), nil)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Equal(t, "1.0.0", got.Values["version"])

	for name, c := range map[string]Cloud{
		"this bench has no broker": {},
		"with code":                {URL: url, Username: "owner", Password: "wrong-password"},
		"connection refused":       {URL: "mqtt://" + closedPort(t, "tcp")},
		"the bench's own broker: ": {URL: "mqtt://" + tcp(t, hangs)},
	} {
		_, err := driver(t, steps(step), cloud(c)).Do(t.Context(), "it", nil)
		require.ErrorIs(t, err, probes.ErrBench, "trouble with the bench's own broker is not the device's")
		assert.ErrorContains(t, err, name)
		assert.NotContains(t, err.Error(), "wrong-password")
	}
}

const connackYes = "\x20\x02\x00\x00"

func TestMQTTOutcomes(t *testing.T) {
	plain := func(address string) dossier.Step {
		return dossier.Step{MQTT: &dossier.MQTTStep{URL: "mqtt://" + address}, Seconds: 0.5}
	}
	secured := func(address string) dossier.Step {
		return dossier.Step{MQTT: &dossier.MQTTStep{URL: "mqtts://" + address}, Seconds: 0.5}
	}
	subscribes := func(words string) dossier.Step {
		s := plain(tcp(t, func(c net.Conn) {
			c.Read(make([]byte, 256))
			io.WriteString(c, connackYes)
			c.Read(make([]byte, 256))
			io.WriteString(c, words)
		}))
		s.MQTT.Subscribe, s.MQTT.Listen = "#", 5
		return s
	}
	suback := "\x90\x03\x00\x01\x00"
	for _, c := range []struct {
		name string
		step dossier.Step
		want probes.Outcome
	}{
		{"yes", plain(tcp(t, says(connackYes))), probes.Done},
		{"code 3", plain(tcp(t, says("\x20\x02\x00\x03"))), probes.Unexpected},
		{"code 4", plain(tcp(t, says("\x20\x02\x00\x04"))), probes.Refused},
		{"code 5", plain(tcp(t, says("\x20\x02\x00\x05"))), probes.Refused},
		{"code 134 of MQTT 5", plain(tcp(t, says("\x20\x02\x00\x86"))), probes.Refused},
		{"code 135 of MQTT 5", plain(tcp(t, says("\x20\x03\x00\x87\x00"))), probes.Refused},
		{"code 159 of MQTT 5", plain(tcp(t, says("\x20\x02\x00\x9f"))), probes.Limited},
		{"code 99 of nobody", plain(tcp(t, says("\x20\x02\x00\x63"))), probes.Unexpected},
		{"closed port", plain(closedPort(t, "tcp")), probes.Unreachable},
		{"closed port for TLS", secured(closedPort(t, "tcp")), probes.Unreachable},
		{"hangs", plain(tcp(t, hangs)), probes.Silent},
		{"hangs in the handshake", secured(tcp(t, hangs)), probes.Silent},
		{"hangs within the CONNACK", plain(tcp(t, says("\x20\x02\x00"))), probes.Silent},
		{"closes", plain(tcp(t, closes)), probes.Reset},
		{"resets", plain(tcp(t, resets)), probes.Reset},
		{"closes within the CONNACK", plain(tcp(t, func(c net.Conn) { awaitByte(c); io.WriteString(c, "\x20\x02\x00") })), probes.Reset},
		{"resets in the handshake", secured(tcp(t, resets)), probes.Reset},
		{"garbage", plain(tcp(t, says(garbage(64)))), probes.Malformed},
		{"HTTP", plain(tcp(t, says("HTTP/1.1 400 Bad Request\r\n\r\n"))), probes.Malformed},
		{"garbage for a handshake", secured(tcp(t, says(garbage(64)))), probes.Malformed},
		{"another packet first", plain(tcp(t, says("\xd0\x00"))), probes.Malformed},
		{"a CONNECT back", plain(tcp(t, says("\x10\x02\x00\x00"))), probes.Malformed},
		{"an empty CONNACK", plain(tcp(t, says("\x20\x00"))), probes.Malformed},
		{"a CONNACK of 256 MiB", plain(tcp(t, says("\x20\xff\xff\xff\x7f"))), probes.Malformed},
		{"a length without end", plain(tcp(t, says("\x20\xff\xff\xff\xff\xff\xff"))), probes.Malformed},
		{"hangs up after the SUBACK", subscribes(suback), probes.Reset},
		{"a SUBACK that refuses", subscribes("\x90\x03\x00\x01\x80"), probes.Refused},
		{"a SUBACK with codes for filters that nobody sent", subscribes("\x90\x06\x00\x01\x00\x00\x00\x00"), probes.Malformed},
		{"two CONNACKs", subscribes(connackYes), probes.Malformed},
		{"hangs up within a message", subscribes(suback + "\x30\x20\x00\x01ab"), probes.Reset},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := try(t, c.step)
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.NotEmpty(t, got.Detail)
		})
	}
}

// A device that never stops talking fills neither the memory nor the time.
func TestMQTTFlood(t *testing.T) {
	message := "\x30\x83\x20\x00\x01t" + strings.Repeat("x", 4096)
	address := tcp(t, func(c net.Conn) {
		c.Read(make([]byte, 256))
		io.WriteString(c, connackYes)
		c.Read(make([]byte, 256))
		io.WriteString(c, "\x90\x03\x00\x01\x00")
		for {
			if _, err := io.WriteString(c, message); err != nil {
				return
			}
		}
	})
	got := try(t, dossier.Step{MQTT: &dossier.MQTTStep{URL: "mqtt://" + address, Subscribe: "#", Listen: 0.3}, Success: "false"})
	assert.Equal(t, probes.Unexpected, got.Outcome, got.Detail)
	assert.LessOrEqual(t, len(got.Text), maxText)
	assert.Greater(t, len(got.Text), maxText/2)
}

// Whatever the guard lets pass is one whole packet that the client's parser can read and that it can use.
func FuzzMQTTGuard(f *testing.F) {
	for _, seed := range []string{
		connackYes, connackYes + "\x90\x03\x00\x01\x00", connackYes + "\x30\x05\x00\x01tab", connackYes + "\x32\x07\x00\x01t\x00\x09ab",
		connackYes + "\xd0\x00", "\x20\x02\x00\x05", "\x20\xff\xff\xff\x7f", connackYes + "\x90\x06\x00\x01\x00\x00\x00\x00", connackYes + "\x30\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		g := newMQTTGuard(readConn{Reader: bytes.NewReader(stream)})
		passed, err := io.ReadAll(g)
		if err != nil && len(passed) == 0 {
			return
		}
		if !bytes.HasPrefix(stream, passed) {
			t.Fatalf("%x became %x", stream, passed)
		}
		for r := bytes.NewReader(passed); r.Len() > 0; {
			packet, err := readPacket(r, r.Len() == len(passed))
			if err != nil {
				t.Fatalf("%x let pass: %v", passed, err)
			}
			if _, err := parsePacket(packet); err != nil {
				t.Fatalf("%x let pass: %v", packet, err)
			}
		}
	})
}

// readConn is a connection of which only the incoming side matters.
type readConn struct {
	net.Conn
	io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }
func (readConn) Close() error                 { return nil }

// A broker that accepts everybody and looks at the login afterwards has let in whom it keeps.
func TestMQTTHangsUpAfterAccepting(t *testing.T) {
	connack := map[string][]byte{"": {0x20, 2, 0, 0}, version5: {0x20, 3, 0, 0, 0}}
	for version, yes := range connack {
		broker := func(then func(c net.Conn)) string {
			return "mqtt://" + tcp(t, func(c net.Conn) {
				head := make([]byte, 2)
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, c, int64(head[1])); err != nil {
					return
				}
				if _, err := c.Write(yes); err == nil {
					then(c)
				}
			})
		}
		for name, c := range map[string]struct {
			then func(c net.Conn)
			want probes.Outcome
		}{
			"hangs up":           {func(net.Conn) {}, probes.Reset},
			"hangs up on a word": {func(c net.Conn) { awaitByte(c) }, probes.Reset},
			"stays": {func(c net.Conn) {
				awaitByte(c)
				c.Write([]byte{0xd0, 0})
				io.Copy(io.Discard, c)
			}, probes.Done},
			"stays without a word": {func(c net.Conn) { io.Copy(io.Discard, c) }, probes.Done},
		} {
			t.Run(name+version, func(t *testing.T) {
				ask := login(broker(c.then))
				ask.MQTT.Version = version
				ask.Seconds = 10
				got := do(t, driver(t, steps(ask)), probes.Args{"username": "owner", "password": password})
				assert.Equal(t, c.want, got.Outcome, got.Detail)
			})
		}
	}
}
