package drive

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

func get(url string) dossier.Step {
	return dossier.Step{HTTP: &dossier.HTTPStep{URL: url}, Seconds: 1}
}

// page is a device that answers every request in the same way.
func page(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestHTTPOutcomes(t *testing.T) {
	quick := func(url string) dossier.Step { s := get(url); s.Seconds = 0.3; return s }
	whole := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	for _, c := range []struct {
		name string
		step dossier.Step
		want probes.Outcome
	}{
		{"200", get(page(t, 200, "")), probes.Done},
		{"204", get(page(t, 204, "")), probes.Done},
		{"401", get(page(t, 401, "")), probes.Refused},
		{"403", get(page(t, 403, "")), probes.Refused},
		{"429", get(page(t, 429, "")), probes.Limited},
		{"404", get(page(t, 404, "")), probes.Unexpected},
		{"500", get(page(t, 500, "")), probes.Unexpected},
		{"302", get(page(t, 302, "")), probes.Unexpected},
		{"closed port", get("http://" + closedPort(t, "tcp")), probes.Unreachable},
		{"no such name", get("http://device.invalid/"), probes.Unreachable},
		{"hangs", quick("http://" + tcp(t, hangs)), probes.Silent},
		{"hangs in the handshake", quick("https://" + tcp(t, hangs)), probes.Silent},
		{"hangs in the body", quick("http://" + tcp(t, says(whole+"abc"))), probes.Silent},
		{"closes", get("http://" + tcp(t, closes)), probes.Reset},
		{"resets", get("http://" + tcp(t, resets)), probes.Reset},
		{"resets in the handshake", get("https://" + tcp(t, resets)), probes.Reset},
		{"closes in the body", get("http://" + tcp(t, func(c net.Conn) { awaitByte(c); io.WriteString(c, whole+"abc") })), probes.Reset},
		{"garbage", get("http://" + tcp(t, says(garbage(64)+"\r\n\r\n"))), probes.Malformed},
		{"garbage for a handshake", get("https://" + tcp(t, says(garbage(64)))), probes.Malformed},
		{"HTTP where TLS is wanted", get(strings.Replace(page(t, 200, ""), "http:", "https:", 1)), probes.Malformed},
		{"endless headers", get("http://" + tcp(t, says("HTTP/1.1 200 OK\r\n"+strings.Repeat("X: "+garbage(1000)+"\r\n", 200)))), probes.Malformed},
		{"TLS alert: access denied", get("https://" + tcp(t, says("\x15\x03\x03\x00\x02\x02\x31"))), probes.Refused},
		{"TLS alert: handshake failure", get("https://" + tcp(t, says("\x15\x03\x03\x00\x02\x02\x28"))), probes.Unexpected},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := try(t, c.step)
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.NotEmpty(t, got.Detail)
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	var seen *http.Request
	var body string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen, body = r, string(b)
	}))
	defer s.Close()
	args := probes.Args{"username": "o\"wner", "password": password, "value": "a\n\"b"}

	do(t, driver(t, steps(dossier.Step{HTTP: &dossier.HTTPStep{
		Method: "put", URL: s.URL + "/api?u={{value}}", Basic: true,
		Headers: map[string]string{"X-Serial": "{{serial}} {{mac}} {{unit}} {{bench}}"},
		JSON:    map[string]any{"name": "{{value}}", "n": 3, "list": []any{"{{username}}"}},
	}})), args)
	assert.Equal(t, "PUT", seen.Method)
	assert.Equal(t, "a\n\"b", seen.URL.Query().Get("u"))
	assert.Equal(t, serial+" 02:00:00:00:00:01 one 192.0.2.1", seen.Header.Get("X-Serial"))
	assert.Equal(t, "application/json", seen.Header.Get("Content-Type"))
	assert.JSONEq(t, `{"name":"a\n\"b","n":3,"list":["o\"wner"]}`, body)
	user, pass, _ := seen.BasicAuth()
	assert.Equal(t, []string{"o\"wner", password}, []string{user, pass})

	do(t, driver(t, steps(dossier.Step{HTTP: &dossier.HTTPStep{
		Method: "POST", URL: s.URL, Form: map[string]string{"p": "{{login.http.password}}"}, Basic: true,
	}})), nil)
	assert.Equal(t, "p=Wq7-kk%26x%2F3%3Dz", body)
	assert.Empty(t, seen.Header.Get("Authorization"), "basic is left out without credentials")

	_, err := driver(t, steps(dossier.Step{HTTP: &dossier.HTTPStep{URL: s.URL, Headers: map[string]string{"X": "{{value}}"}}})).
		Do(t.Context(), "it", args)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, `operation it: step 1: http: header "X" holds a line break`)
}

// A device that keeps sessions in cookies, over two steps, with a token taken from the first.
func TestHTTPSession(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1"})
			json.NewEncoder(w).Encode(map[string]any{"token": "tok-123", "count": 2})
		case "/name":
			if c, err := r.Cookie("session"); err != nil || c.Value != "s1" || r.Header.Get("Authorization") != "Bearer tok-123" {
				w.WriteHeader(401)
				return
			}
			io.WriteString(w, "kitchen")
		}
	}))
	defer s.Close()
	d := driver(t, steps(
		dossier.Step{
			HTTP:    &dossier.HTTPStep{URL: s.URL + "/login"},
			Success: "reply.status == 200 && reply.json.count == 2 && 'content-length' in reply.headers",
			Capture: map[string]string{"token": "reply.json.token"},
		},
		dossier.Step{HTTP: &dossier.HTTPStep{URL: s.URL + "/name", Headers: map[string]string{"Authorization": "Bearer {{token}}"}}},
	))
	for range 2 { // the second operation begins without the first one's cookies and values
		got := do(t, d, nil)
		assert.Equal(t, probes.Done, got.Outcome, got.Detail)
		assert.Equal(t, map[string]string{"token": "tok-123"}, got.Values)
		assert.Contains(t, got.Text, "kitchen")
		assert.Equal(t, "step 2: HTTP 200", got.Detail)
	}
}

func TestHTTPRedirects(t *testing.T) {
	visited := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/done", http.StatusFound)
		case "/there":
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}))
	defer s.Close()
	assert.Equal(t, probes.Done, try(t, get(s.URL+"/here")).Outcome)
	assert.Equal(t, probes.Unexpected, try(t, get(s.URL+"/there")).Outcome)
	assert.Equal(t, probes.Unexpected, try(t, get(s.URL+"/loop")).Outcome)
	assert.False(t, visited, "a device does not send the bench to another host")
}

// What a device answered may become a path, and never the place that the next step connects to.
func TestHTTPDeviceCannotSteer(t *testing.T) {
	visited := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited++ }))
	defer elsewhere.Close()
	for location, want := range map[string]probes.Outcome{
		"/next": probes.Done, "@" + strings.TrimPrefix(elsewhere.URL, "http://"): probes.Unexpected,
		".evil.example/": probes.Unexpected, ":1/": probes.Unexpected, "/a\nb": probes.Unexpected,
	} {
		s := page(t, 200, location)
		got := do(t, driver(t, steps(
			dossier.Step{HTTP: &dossier.HTTPStep{URL: s}, Capture: map[string]string{"next": "reply.body"}},
			dossier.Step{HTTP: &dossier.HTTPStep{URL: s + "{{next}}"}},
		)), nil)
		assert.Equal(t, want, got.Outcome, "%q: %s", location, got.Detail)
	}
	got := do(t, driver(t, steps(
		dossier.Step{HTTP: &dossier.HTTPStep{URL: page(t, 200, "x\r\nEvil: 1")}, Capture: map[string]string{"v": "reply.body"}},
		dossier.Step{HTTP: &dossier.HTTPStep{URL: elsewhere.URL, Headers: map[string]string{"X": "{{v}}"}}},
	)), nil)
	assert.Equal(t, probes.Unexpected, got.Outcome, got.Detail)
	assert.Zero(t, visited)
}

func TestHTTPBoundsAndEnvironment(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	got := try(t, get(page(t, 200, strings.Repeat("x", 2<<20))))
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Len(t, got.Text, maxText)
}

func TestHTTPAnchors(t *testing.T) {
	device := httptest.NewUnstartedServer(http.NotFoundHandler())
	device.Config.ErrorLog = log.New(io.Discard, "", 0)
	device.StartTLS()
	defer device.Close()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return name
	}
	for _, c := range []struct {
		name, file string
		want       probes.Outcome
	}{
		{"its own certificate", write("own.pem", "CERTIFICATE", device.Certificate().Raw), probes.Unexpected},
		{"its key", write("key.pem", "PUBLIC KEY", device.Certificate().RawSubjectPublicKeyInfo), probes.Unexpected},
		{"a stranger", write("stranger.pem", "CERTIFICATE", strangerDER(t)), probes.Unexpected},
	} {
		d := driver(t, steps(get(device.URL)), func(o *Options) {
			o.Dossier.Dir, o.Dossier.Trust = dir, []dossier.Anchor{{For: "device", File: c.file}, {For: "firmware", File: "not read here"}}
		})
		got := do(t, d, nil)
		assert.Equal(t, c.want, got.Outcome)
		if c.name == "a stranger" {
			assert.Equal(t, errStranger.Error(), got.Detail)
		} else {
			assert.Contains(t, got.Detail, "HTTP 404", "the handshake went well, though the certificate names example.com")
		}
	}
	_, err := New(Options{Dossier: &dossier.Dossier{
		Units: []dossier.Unit{{ID: "one"}}, Trust: []dossier.Anchor{{For: "device", File: filepath.Join(dir, "missing.pem")}},
	}, Unit: "one", Host: func() string { return "" }, Clock: clock{}})
	require.ErrorIs(t, err, probes.ErrBench)
}

// strangerDER is a certificate of nobody in the test.
func strangerDER(t *testing.T) []byte {
	t.Helper()
	c, err := selfSigned()
	require.NoError(t, err)
	return c.Certificate[0]
}
