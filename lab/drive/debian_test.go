package drive

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

// Devices that nobody here wrote: Debian's mosquitto and libcoap.

// start runs a server until the test ends.
func start(t *testing.T, name string, args ...string) *output {
	t.Helper()
	out := &output{}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, out)
		}
	})
	return out
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

// installed finds a program of a Debian package; some live where only root looks.
func installed(t *testing.T, program, pkg string) string {
	t.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("needs %s: apt-get install %s", program, pkg)
	return ""
}

// until repeats an operation while nobody is there yet.
func until(t *testing.T, d *Driver, args probes.Args) probes.Result {
	t.Helper()
	var got probes.Result
	require.Eventually(t, func() bool {
		got = do(t, d, args)
		return got.Outcome != probes.Unreachable
	}, 10*time.Second, 20*time.Millisecond)
	return got
}

func mosquitto(t *testing.T, config string) string {
	t.Helper()
	program := installed(t, "mosquitto", "mosquitto")
	address := closedPort(t, "tcp")
	_, port, _ := net.SplitHostPort(address)
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	// Started by root it would become another user, who cannot read the test's folder.
	require.NoError(t, os.WriteFile(file, []byte("listener "+port+" 127.0.0.1\npersistence false\nuser root\n"+config), 0o644))
	start(t, program, "-c", file)
	return "mqtt://" + address
}

func TestMosquittoWithoutPasswordFile(t *testing.T) {
	url := mosquitto(t, "allow_anonymous true\n")
	d := driver(t, steps(login(url)))
	assert.Equal(t, probes.Done, until(t, d, probes.Args{"username": "", "password": ""}).Outcome)
	assert.Equal(t, probes.Done, do(t, d, probes.Args{"username": "any", "password": "thing"}).Outcome)
	none, err := d.Do(t.Context(), "login-it", nil)
	require.NoError(t, err)
	assert.Equal(t, probes.Done, none.Outcome)

	store := dossier.Step{MQTT: &dossier.MQTTStep{URL: url, Publish: "home/note", Payload: "{{value}}", Retain: true}}
	assert.Equal(t, probes.Done, do(t, driver(t, steps(store)), probes.Args{"value": "canary-2"}).Outcome)
	read := dossier.Step{
		MQTT:    &dossier.MQTTStep{URL: url, Subscribe: "home/note", Listen: 3},
		Success: "reply.messages.exists(m, m.payload == 'canary-2' && m.retained)",
	}
	got := try(t, read)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Equal(t, "home/note canary-2\n", got.Text)
}

func TestMosquittoWithPasswordFile(t *testing.T) {
	tool := installed(t, "mosquitto_passwd", "mosquitto")
	file := filepath.Join(t.TempDir(), "passwords")
	require.NoError(t, exec.CommandContext(t.Context(), tool, "-b", "-c", file, "owner", password).Run())
	d := driver(t, steps(login(mosquitto(t, "allow_anonymous false\npassword_file "+file+"\n"))))
	right := probes.Args{"username": "owner", "password": password}
	assert.Equal(t, probes.Done, until(t, d, right).Outcome)
	got := do(t, d, probes.Args{"username": "owner", "password": "admin"})
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	assert.Equal(t, "CONNACK 5", got.Detail)
	none, err := d.Do(t.Context(), "login-it", nil)
	require.NoError(t, err)
	assert.Equal(t, probes.Refused, none.Outcome)
	assert.Equal(t, probes.Done, do(t, d, right).Outcome)
}

func TestLibcoap(t *testing.T) {
	for _, program := range []string{"coap-server-openssl", "coap-server-gnutls"} {
		t.Run(program, func(t *testing.T) {
			path := installed(t, program, "libcoap3-bin")
			plain, secure := twoPorts(t)
			start(t, path, "-A", "127.0.0.1", "-p", strconv.Itoa(plain), "-k", labelKey, "-v", "4")
			open := dossier.Step{CoAP: &dossier.CoAPStep{URL: "coap://127.0.0.1:" + strconv.Itoa(plain) + "/time"}, Seconds: 2}
			got := until(t, driver(t, steps(open)), nil)
			assert.Equal(t, probes.Done, got.Outcome, got.Detail)
			assert.NotEmpty(t, got.Text)

			core := open
			core.CoAP = &dossier.CoAPStep{URL: "coap://127.0.0.1:" + strconv.Itoa(plain) + "/.well-known/core"}
			assert.Contains(t, try(t, core).Text, "</time>")

			keyed := dossier.Step{CoAP: &dossier.CoAPStep{
				URL: "coaps://127.0.0.1:" + strconv.Itoa(secure) + "/time", Identity: "{{username}}", Key: "{{password}}",
			}, Seconds: 2}
			d := driver(t, steps(keyed))
			right := probes.Args{"username": serial, "password": labelKey}
			got = do(t, d, right)
			assert.Equal(t, probes.Done, got.Outcome, got.Detail)
			got = do(t, d, probes.Args{"username": serial, "password": "not-the-key"})
			assert.Equal(t, probes.Silent, got.Outcome, "libcoap drops what it cannot decrypt: %s", got.Detail)
			assert.Equal(t, "the DTLS handshake began, then no answer in time", got.Detail)
			got = do(t, d, right)
			assert.Equal(t, probes.Done, got.Outcome, got.Detail)
		})
	}
}

// twoPorts finds a free port whose successor is free too: libcoap takes that one for DTLS.
func twoPorts(t *testing.T) (int, int) {
	t.Helper()
	for range 50 {
		port := 20_000 + 2*rand.IntN(6_000)
		if free(port) && free(port+1) {
			return port, port + 1
		}
	}
	t.Fatal("no two free ports in a row")
	return 0, 0
}
