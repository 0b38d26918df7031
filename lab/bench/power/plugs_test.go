package power

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// wall is the machine's time: the peers here are programs of their own.
type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// opened is the supply of a configuration.
func opened(t *testing.T, c Config, person Person, run Runner) *Supply {
	t.Helper()
	require.Nil(t, c.Check())
	s, err := c.Open(t.TempDir(), person, run)
	require.NoError(t, err)
	return New(s, wall{})
}

// obeys walks a supply through what a bench does with it. is reads the peer's own state.
func obeys(t *testing.T, s *Supply, is func() bool) {
	t.Helper()
	ctx := within(t, 60*time.Second)
	require.NoError(t, s.Off(ctx))
	assert.False(t, is())
	assert.True(t, s.Dark())
	require.NoError(t, s.On(ctx))
	assert.True(t, is())
	assert.False(t, s.Dark())
	require.NoError(t, s.Cycle(ctx, time.Millisecond))
	assert.True(t, is())
	on, err := s.Ask(ctx)
	require.NoError(t, err)
	assert.True(t, on)
}

// lies wants an error and no claim from a supply whose switch does not do what it is told.
func lies(t *testing.T, s *Supply, say string) {
	t.Helper()
	err := s.Off(within(t, time.Second))
	require.ErrorIs(t, err, probes.ErrBench)
	require.ErrorContains(t, err, say)
	assert.True(t, s.Dark(), "what was not confirmed is not claimed")
}

// start runs a server until the test ends.
func start(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	out := &output{}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay, cmd.Env = out, out, time.Second, append(os.Environ(), env...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, out)
		}
	})
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

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

// freePort is an address that nobody has, and that the kernel gives to nobody else's test.
func freePort(t *testing.T, network string) string {
	t.Helper()
	for range 50 {
		at := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if network == "udp" {
			if c, err := net.ListenPacket("udp", at); err == nil {
				require.NoError(t, c.Close())
				return at
			}
		} else if l, err := net.Listen("tcp", at); err == nil {
			require.NoError(t, l.Close())
			return at
		}
	}
	t.Fatal("no free port")
	return ""
}

// mosquitto is Debian's broker with one user, lab.
func mosquitto(t *testing.T) string {
	t.Helper()
	program := installed(t, "mosquitto", "mosquitto")
	dir := t.TempDir()
	passwords := filepath.Join(dir, "passwords")
	require.NoError(t, exec.Command(installed(t, "mosquitto_passwd", "mosquitto"), "-b", "-c", passwords, "lab", "secret-of-the-lab").Run())
	address := freePort(t, "tcp")
	_, port, _ := net.SplitHostPort(address)
	file := filepath.Join(dir, "mosquitto.conf")
	require.NoError(t, os.WriteFile(file, []byte("listener "+port+" 127.0.0.1\npersistence false\nuser root\npassword_file "+passwords+"\n"), 0o600))
	start(t, nil, program, "-c", file)
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	return "mqtt://" + address
}

// plug is a client of the broker that answers as a plug's documentation says.
type plug struct {
	mu     sync.Mutex
	on     bool
	stuck  bool // it hears, answers with its state, and does nothing
	silent bool
}

func (p *plug) is() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.on }

func (p *plug) change(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }

func (p *plug) join(t *testing.T, address, topic string, answer func(c mqtt.Client, m mqtt.Message)) {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker(strings.Replace(address, "mqtt", "tcp", 1)).SetClientID("plug").SetUsername("lab").SetPassword("secret-of-the-lab")
	c := mqtt.NewClient(o)
	require.True(t, c.Connect().WaitTimeout(5*time.Second))
	require.True(t, c.IsConnected())
	t.Cleanup(func() { c.Disconnect(0) })
	require.True(t, c.Subscribe(topic, 1, answer).WaitTimeout(5*time.Second))
}

// tasmota answers cmnd/lamp/POWER as Tasmota does: RESULT, then POWER; an empty payload asks.
func (p *plug) tasmota(c mqtt.Client, m mqtt.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent || m.Topic() != "cmnd/lamp/POWER" {
		return
	}
	switch strings.ToUpper(string(m.Payload())) {
	case "ON":
		p.on = p.on || !p.stuck
	case "OFF":
		p.on = p.on && p.stuck
	}
	state := strings.ToUpper(word(p.on))
	c.Publish("stat/lamp/RESULT", 0, false, `{"POWER":"`+state+`"}`)
	c.Publish("stat/lamp/POWER", 0, true, state) // PowerRetain is on here
}

func TestTasmotaOverMosquitto(t *testing.T) {
	address := mosquitto(t)
	p := &plug{on: true}
	p.join(t, address, "cmnd/lamp/+", p.tasmota)
	c := Config{Tasmota: &Tasmota{MQTT: address, Topic: "lamp", Username: "lab", Password: &Secret{Text: "secret-of-the-lab"}}}
	s := opened(t, c, nil, nil)
	obeys(t, s, p.is)
	p.change(func() { p.stuck = true })
	lies(t, s, "not confirmed: it was told off and says that it is on")
	p.change(func() { p.silent, p.stuck = true, false })
	// The broker still holds a retained ON: that is no answer.
	err := s.On(within(t, time.Second))
	require.ErrorContains(t, err, "nobody answers at stat/lamp/POWER")
	require.ErrorIs(t, err, probes.ErrBench)

	c.Tasmota.Password = &Secret{Text: "another"}
	err = opened(t, c, nil, nil).Off(within(t, 5*time.Second))
	require.ErrorContains(t, err, "connect to the broker: not Authorized")
	assert.NotContains(t, err.Error(), "another")
}

// rpc answers lamp/rpc as a Shelly of generation 2 does.
func (p *plug) rpc(c mqtt.Client, m mqtt.Message) {
	var q struct {
		ID     int64  `json:"id"`
		Src    string `json:"src"`
		Method string `json:"method"`
		Params struct {
			ID int   `json:"id"`
			On *bool `json:"on"`
		} `json:"params"`
	}
	if json.Unmarshal(m.Payload(), &q) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := map[string]any{"id": q.ID, "src": "lamp", "dst": q.Src}
	switch {
	case q.Params.ID != 0:
		answer["error"] = map[string]any{"code": -105, "message": "Argument 'id', value 1 not found!"}
	case q.Method == "Switch.Set":
		answer["result"] = map[string]any{"was_on": p.on}
		if !p.stuck {
			p.on = *q.Params.On
		}
	default:
		answer["result"] = map[string]any{"id": 0, "source": "MQTT", "output": p.on}
	}
	b, _ := json.Marshal(answer)
	c.Publish(q.Src+"/rpc", 0, false, `{"id":9999,"result":{"output":false}}`) // another call's
	c.Publish(q.Src+"/rpc", 0, false, b)
}

func TestShellyOverMosquitto(t *testing.T) {
	address := mosquitto(t)
	p := &plug{on: true}
	p.join(t, address, "lamp/rpc", p.rpc)
	c := Config{Shelly: &Shelly{Generation: 2, MQTT: address, Topic: "lamp", Username: "lab", Password: &Secret{Text: "secret-of-the-lab"}}}
	s := opened(t, c, nil, nil)
	obeys(t, s, p.is)
	p.change(func() { p.stuck = true })
	lies(t, s, "it was told off and says that it is on")
	c.Shelly.Outlet = 1
	lies(t, opened(t, c, nil, nil), `it answers: "Argument 'id', value 1 not found!"`)
}

// ServeHTTP answers as Tasmota's page and both generations of Shelly do.
func (p *plug) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	turn := func(word string) {
		if on, known := said(word); known && !p.stuck {
			p.on = on
		}
	}
	var answer map[string]any
	switch r.URL.Path {
	case "/cm":
		if q.Get("user") != "admin" || q.Get("password") != "p&ss word" {
			answer = map[string]any{"WARNING": "Need user=<username>&password=<password>"}
			break
		}
		command, value, _ := strings.Cut(q.Get("cmnd"), " ")
		if command != "Power2" {
			answer = map[string]any{"Command": "Unknown"}
			break
		}
		turn(value)
		answer = map[string]any{"POWER2": strings.ToUpper(word(p.on))}
	case "/relay/0":
		user, password, _ := r.BasicAuth()
		if user != "lab" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		turn(q.Get("turn"))
		answer = map[string]any{"ison": p.on, "has_timer": false}
	case "/rpc/Switch.Set", "/rpc/Switch.GetStatus":
		if !p.digest(r) {
			w.Header().Set("WWW-Authenticate", `Digest qop="auth", realm="shellyplus1-a8032abe54dc", nonce="60dc2d5e", algorithm=SHA-256`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer = map[string]any{"was_on": p.on}
		turn(q.Get("on"))
		if strings.HasSuffix(r.URL.Path, "GetStatus") {
			answer = map[string]any{"id": 0, "output": p.on, "apower": 1.5}
		}
	default:
		http.Redirect(w, r, "/relay/0", http.StatusFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *plug) digest(r *http.Request) bool {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	v := parameters(rest)
	want := sum(sum("admin:shellyplus1-a8032abe54dc:secret"), v["nonce"], v["nc"], v["cnonce"], v["qop"], sum("GET:"+r.URL.RequestURI()))
	return v["nonce"] == "60dc2d5e" && v["username"] == "admin" && v["response"] == want
}

func TestPlugsOverHTTP(t *testing.T) {
	secret := &Secret{Text: "secret"}
	for name, c := range map[string]Config{
		"tasmota":  {Tasmota: &Tasmota{Outlet: 2, Username: "admin", Password: &Secret{Text: "p&ss word"}}},
		"shelly-1": {Shelly: &Shelly{Generation: 1, Username: "lab", Password: secret}},
		"shelly-2": {Shelly: &Shelly{Generation: 2, Password: secret}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &plug{on: true}
			server := httptest.NewServer(p)
			t.Cleanup(server.Close)
			set := func(password *Secret) *Supply {
				if c.Tasmota != nil {
					c.Tasmota.HTTP, c.Tasmota.Password = server.URL, password
				} else {
					c.Shelly.HTTP, c.Shelly.Password = server.URL, password
				}
				return opened(t, c, nil, nil)
			}
			right := secret
			if c.Tasmota != nil {
				right = c.Tasmota.Password
			}
			s := set(right)
			obeys(t, s, p.is)
			p.change(func() { p.stuck = true })
			lies(t, s, "it was told off and says that it is on")
			err := set(&Secret{Text: "wrong-one"}).Off(within(t, time.Second))
			require.ErrorIs(t, err, probes.ErrBench)
			assert.NotContains(t, err.Error(), "wrong-one")
			server.Close()
			err = set(right).Off(within(t, time.Second))
			require.ErrorContains(t, err, "connection refused")
			assert.NotContains(t, err.Error(), "password")
		})
	}
}

// A plug that answers without end, with a redirect or not at all costs a deadline or a few bytes.
func TestHostilePages(t *testing.T) {
	forever := make(chan struct{})
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte("a"), 4096)); err != nil {
					return
				}
			}
		}, "more than 65536 bytes"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, "/relay/0 answers 302 Found"},
		"no JSON":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "is no JSON object"},
		"no state": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ison":"yes"}`)) }, "its answer has no ison"},
		"silent":   {func(_ http.ResponseWriter, r *http.Request) { <-forever }, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.serve)
			defer server.Close()
			if name == "silent" {
				defer close(forever)
			}
			lies(t, opened(t, Config{Shelly: &Shelly{Generation: 1, HTTP: server.URL}}, nil, nil), c.want)
		})
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Digest qop="auth", realm="r", nonce="60dc2d5e", algorithm=SHA-256`)
	f.Add(`Digest nonce=, algorithm="SHA-256`)
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := answerChallenge(s, "admin", "secret", "/rpc"); err != nil {
			require.False(t, errors.Is(err, probes.ErrBench))
		}
	})
}
