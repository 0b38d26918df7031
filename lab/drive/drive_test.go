package drive

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

func TestNewRefuses(t *testing.T) {
	http := func(change func(*dossier.Step)) dossier.Operation {
		s := get("http://{{host}}/")
		change(&s)
		return steps(s)
	}
	for _, c := range []struct {
		name string
		o    dossier.Operation
		want string
	}{
		{"no steps", dossier.Operation{}, "operation it has no steps"},
		{"nothing to do", steps(dossier.Step{}), "operation it: step 1: exactly one of http, mqtt, coap, ssh, telnet, serial, command, person and button is wanted, found 0"},
		{"two things to do", http(func(s *dossier.Step) { s.Person = &dossier.PersonStep{Say: "x"} }), "found 2"},
		{"odd CEL", http(func(s *dossier.Step) { s.Success = "reply.status ==" }), "operation it: step 1: success: "},
		{"odd capture", http(func(s *dossier.Step) { s.Capture = map[string]string{"v": "))"} }), "capture v: "},
		{"odd capture name", http(func(s *dossier.Step) { s.Capture = map[string]string{"v v": "reply.body"} }), `capture "v v"`},
		{"capture of the host", http(func(s *dossier.Step) { s.Capture = map[string]string{"host": "reply.body"} }), "capture host: the bench itself"},
		{"capture of a login", http(func(s *dossier.Step) { s.Capture = map[string]string{"login.a.b": "reply.body"} }), "the bench itself"},
		{"odd template", http(func(s *dossier.Step) { s.HTTP.URL = "http://{{host" }), "http: url: "},
		{"odd template in JSON", http(func(s *dossier.Step) { s.HTTP.JSON = map[string]any{"a": []any{"{{"}} }), "http: json: "},
		{"two bodies", http(func(s *dossier.Step) { s.HTTP.JSON, s.HTTP.Body = map[string]any{}, "x" }), "only one of json, form and body"},
		{"negative time", http(func(s *dossier.Step) { s.Seconds = -1 }), "seconds: -1 is not between 0 and 3600"},
		{"no program", steps(dossier.Step{Command: &dossier.CommandStep{}}), "run names no program"},
		{"variable program", steps(dossier.Step{Command: &dossier.CommandStep{Run: []string{"{{value}}"}}}), "the program's name holds a variable"},
		{"odd anonymous step", dossier.Operation{Anonymous: []dossier.Step{{Button: &dossier.ButtonStep{}}}}, "operation it: anonymous step 1: button: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := twoUnits()
			d.Operations = map[string]dossier.Operation{"it": c.o}
			_, err := New(Options{Dossier: d, Unit: "one", Host: func() string { return "" }, Clock: clock{}})
			require.ErrorIs(t, err, probes.ErrBench)
			assert.ErrorContains(t, err, c.want)
		})
	}
	_, err := New(Options{Dossier: twoUnits(), Unit: "three", Host: func() string { return "" }, Clock: clock{}})
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, `unit "three" is not in the dossier, which has one, two`)
	for _, o := range []Options{{}, {Dossier: twoUnits()}, {Dossier: twoUnits(), Host: func() string { return "" }}} {
		_, err := New(o)
		assert.ErrorIs(t, err, probes.ErrBench)
	}
}

func TestUnit(t *testing.T) {
	u := driver(t, steps(get("http://{{host}}"))).Unit()
	assert.Equal(t, probes.Unit{
		ID: "one", Serial: serial, MAC: "02:00:00:00:00:01", Model: "T-100",
		Logins: map[string]probes.Login{"http": {Username: "admin", Password: password, LockoutAfter: 5, LockoutLasts: 2 * time.Second}},
		Others: map[string][]probes.Login{
			"http": {{Username: "admin", Password: "other-unit-secret", LockoutAfter: 5, LockoutLasts: 2 * time.Second}},
			"coap": {{Username: "T100-0002", Password: "00ff"}},
		},
	}, u)
	assert.Equal(t, []string{"it", "login-it"}, driver(t, steps(get("http://{{host}}"))).Operations())
}

func TestDoBenchErrors(t *testing.T) {
	d := driver(t, steps(get(page(t, 200, "")), get("http://{{host}}/{{nothing}}")))
	_, err := d.Do(t.Context(), "other", nil)
	require.ErrorIs(t, err, probes.ErrNoOperation)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, `operation "other"`)

	_, err = d.Do(t.Context(), "it", nil)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, `operation it: step 2: http: url: variable "nothing" is unknown`)

	_, err = driver(t, steps(get("http://{{host}}/{{login.mqtt.password}}"))).Do(t.Context(), "it", nil)
	assert.ErrorContains(t, err, `variable "login.mqtt.password" is unknown: unit one has no such login`)

	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer s.Close()
	_, err = driver(t, steps(get(s.URL))).Do(ctx, "it", nil)
	require.ErrorIs(t, err, probes.ErrBench)
	require.ErrorIs(t, err, context.Canceled)

	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = driver(t, steps(get("http://"+tcp(t, hangs)))).Do(late, "it", nil)
	require.ErrorIs(t, err, probes.ErrBench, "the caller's deadline says nothing about the device")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNoAddressYet(t *testing.T) {
	d := driver(t, steps(get("http://{{host}}/")), func(o *Options) { o.Host = func() string { return "" } })
	got := do(t, d, nil)
	assert.Equal(t, probes.Unreachable, got.Outcome)
	assert.Contains(t, got.Detail, "address is not known")
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		name                      string
		status                    int
		body                      string
		limited, refused, success string
		want                      probes.Outcome
	}{
		{"own success", 200, `{"ok":true}`, "", "", "reply.json.ok", probes.Done},
		{"own success unmet", 200, `{"ok":false}`, "", "", "reply.json.ok", probes.Unexpected},
		{"own success has no answer", 200, `{}`, "", "", "reply.json.ok", probes.Unexpected},
		{"own success over no JSON", 200, `x`, "", "", "reply.json.ok", probes.Unexpected},
		{"own success beats the protocol's no", 401, "", "", "", "reply.status in [200, 401]", probes.Done},
		{"the protocol's no where own success is unmet", 401, "", "", "", "reply.status == 200", probes.Refused},
		{"the protocol's limit where own success is unmet", 429, "", "", "", "reply.status == 200", probes.Limited},
		{"refused in a 200", 200, "wrong password", "", "reply.body.contains('wrong')", "", probes.Refused},
		{"limited goes before refused", 200, "wrong, wait", "reply.body.contains('wait')", "reply.body.contains('wrong')", "true", probes.Limited},
		{"refused goes before success", 200, "wrong", "reply.body.contains('wait')", "reply.body.contains('wrong')", "true", probes.Refused},
		{"a broken condition does not hold", 200, "x", "reply.json.wait > 0", "reply.json.no", "", probes.Done},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := get(page(t, c.status, c.body))
			s.Limited, s.Refused, s.Success = c.limited, c.refused, c.success
			got := try(t, s)
			assert.Equal(t, c.want, got.Outcome, got.Detail)
		})
	}
}

func TestCaptureFromTheDevice(t *testing.T) {
	s := get(page(t, 200, `{"version":"1.0.0","n":3}`))
	s.Capture = map[string]string{"version": "reply.json.version"}
	got := try(t, s)
	assert.Equal(t, map[string]string{"version": "1.0.0"}, got.Values)
	for _, source := range []string{"reply.json.n", "reply.json.missing"} {
		s.Capture = map[string]string{"version": source}
		got = try(t, s)
		assert.Equal(t, probes.Unexpected, got.Outcome)
		assert.Contains(t, got.Detail, "capture version: ")
		assert.Empty(t, got.Values)
	}
}

func TestAnonymous(t *testing.T) {
	o := steps(get(page(t, 401, "")))
	o.Anonymous = []dossier.Step{get(page(t, 200, ""))}
	d := driver(t, o)
	assert.Equal(t, probes.Done, do(t, d, nil).Outcome)
	assert.Equal(t, probes.Done, do(t, d, probes.Args{"value": "x"}).Outcome)
	assert.Equal(t, probes.Refused, do(t, d, probes.Args{"username": "", "password": ""}).Outcome, "empty credentials are credentials")
}

// Nothing that people read holds a secret, however the device or the recipe spells it.
func TestSecretsAreMasked(t *testing.T) {
	canary := "canary-77ab"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(418)
		user, pass, _ := r.BasicAuth()
		w.Write([]byte(user + " " + pass + " " + url.QueryEscape(pass) + " " + r.Header.Get("Authorization") +
			" " + base64.StdEncoding.EncodeToString([]byte(canary)) + " " + canary + " other-unit-secret"))
	}))
	defer s.Close()
	step := dossier.Step{HTTP: &dossier.HTTPStep{URL: s.URL, Basic: true}}
	args := probes.Args{"username": "someone", "password": password, "value": canary}
	got := do(t, driver(t, steps(step)), args)
	assert.Equal(t, "HTTP 418: someone *** *** Basic *** *** *** ***", got.Detail)
	assert.Contains(t, got.Text, canary, "the text is for searches")

	for _, broken := range []dossier.Step{
		{HTTP: &dossier.HTTPStep{URL: "http://{{password}}:{{value}} /"}},
		{HTTP: &dossier.HTTPStep{URL: s.URL, Method: "{{password}} x"}},
		{CoAP: &dossier.CoAPStep{URL: "coap://127.0.0.1/", Method: "{{password}}"}},
		{CoAP: &dossier.CoAPStep{URL: "coap://127.0.0.1/", Format: "{{password}}"}},
		{Command: &dossier.CommandStep{Run: []string{"./no-such-program", "{{password}}"}}},
		{HTTP: &dossier.HTTPStep{URL: "http://127.0.0.1:1/{{password}}"}},
	} {
		got, err := driver(t, steps(broken)).Do(t.Context(), "it", args)
		words := got.Detail
		if err != nil {
			require.ErrorIs(t, err, probes.ErrBench)
			words = err.Error()
		}
		require.NotEmpty(t, words)
		assert.NotContains(t, words, password)
		assert.NotContains(t, words, url.PathEscape(password))
		assert.NotContains(t, words, canary)
	}
}

func TestMask(t *testing.T) {
	m := newMask("s3cret", "s3cret-longer", "", "hex:A0b1")
	for in, want := range map[string]string{
		"":                       "",
		"nothing":                "nothing",
		"s3cret-longer s3cret":   "*** ***",
		"s3crets3cret-longer":    "******",
		"key a0b1, A0B1, 0xa0b1": "key ***, ***, 0x***",
		"czNjcmV0 \x00\n bell\a": "*** bell",
		"in hex 0x733363726574":  "in hex 0x***",
	} {
		assert.Equal(t, want, m.detail(in), in)
	}
	assert.LessOrEqual(t, len([]rune(m.detail(string(make([]rune, 5000))+"s3cret"))), maxDetail+3)
}

// A secret does not survive masking, unless the marks that replaced it happen to spell it anew.
func FuzzMask(f *testing.F) {
	f.Add("secret", "it says secret, and sec ret")
	f.Add("a", "aaa")
	f.Add("\n", "x\n")
	f.Fuzz(func(t *testing.T, secret, text string) {
		m := newMask(secret)
		if clean := m.clean(text); secret != "" && !strings.Contains(secret, "*") && strings.Contains(clean, secret) {
			t.Fatalf("%q survives in %q", secret, clean)
		}
		if line := m.detail(text); len([]rune(line)) > maxDetail+3 {
			t.Fatalf("a line of %d characters", len([]rune(line)))
		}
	})
}
