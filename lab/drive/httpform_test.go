package drive

import (
	"crypto/rand"
	"fmt"
	"io"
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

// panel is a device's admin page: a form with a hidden field, a session in a cookie, a token for the API, an upload.
func panel(t *testing.T) (*httptest.Server, *[]byte) {
	t.Helper()
	csrf, session, token := rand.Text(), rand.Text(), rand.Text()
	var image []byte
	m := http.NewServeMux()
	m.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "visit", Value: "1"})
		fmt.Fprintf(w, `<form><input type="hidden" name="csrf" value="%s"><input name="user"></form>`, csrf)
	})
	m.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		_, err := r.Cookie("visit")
		if err != nil || r.PostFormValue("csrf") != csrf || r.PostFormValue("user") != "owner" || r.PostFormValue("password") != password {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: session})
		http.Redirect(w, r, "/home", http.StatusSeeOther)
	})
	m.HandleFunc("GET /home", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err != nil || c.Value != session {
			http.Error(w, "log in", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"token":"%s"}`, token)
	})
	m.HandleFunc("POST /firmware", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "who", http.StatusUnauthorized)
			return
		}
		f, head, err := r.FormFile("image")
		if err != nil || r.FormValue("csrf") != csrf {
			http.Error(w, "what", http.StatusBadRequest)
			return
		}
		image, _ = io.ReadAll(f)
		fmt.Fprintf(w, "%s %d", head.Filename, len(image))
	})
	m.HandleFunc("POST /moved", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // who answers before the end of what is sent may cut the answer off
		http.Redirect(w, r, "/firmware", http.StatusTemporaryRedirect)
	})
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	return s, &image
}

// form is a login by the page's form, then one more step.
func form(url string, more ...dossier.Step) dossier.Operation {
	fetch := get(url + "/login")
	fetch.Capture = map[string]string{"csrf": `reply.body.find('name="csrf" value="([^"]+)"')`}
	post := dossier.Step{HTTP: &dossier.HTTPStep{Method: "POST", URL: url + "/login", Form: map[string]string{
		"csrf": "{{csrf}}", "user": "{{username}}", "password": "{{password}}"}}, Seconds: 5}
	post.Capture = map[string]string{"token": "reply.json.token"}
	post.Success = "reply.status == 200 && reply.redirects == 1 && reply.url.endsWith('/home')"
	return steps(append([]dossier.Step{fetch, post}, more...)...)
}

func TestHTTPForm(t *testing.T) {
	s, image := panel(t)
	right, wrong := probes.Args{"username": "owner", "password": password}, probes.Args{"username": "owner", "password": "admin"}
	upload := func(u dossier.Upload, path string) dossier.Step {
		return dossier.Step{HTTP: &dossier.HTTPStep{
			URL: s.URL + path, Headers: map[string]string{"Authorization": "Bearer {{token}}"},
			Form: map[string]string{"csrf": "{{csrf}}"}, Upload: &u,
		}, Seconds: 5}
	}
	got := do(t, driver(t, form(s.URL, get(s.URL+"/home"))), right)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	got = do(t, driver(t, form(s.URL)), wrong)
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	assert.Equal(t, probes.Refused, do(t, driver(t, steps(get(s.URL+"/home"))), nil).Outcome, "no cookie outlives its operation")

	firmware := filepath.Join(t.TempDir(), "box 2.bin")
	require.NoError(t, os.WriteFile(firmware, []byte(strings.Repeat("\x00\xff\r\n--", 200_000)), 0o600))
	for _, path := range []string{"/firmware", "/moved"} {
		got = do(t, driver(t, form(s.URL, upload(dossier.Upload{Field: "image", File: firmware}, path))), right)
		assert.Equal(t, probes.Done, got.Outcome, got.Detail)
		assert.Contains(t, got.Text, "box 2.bin 1200000")
		assert.Len(t, *image, 1_200_000)
	}
	got = do(t, driver(t, form(s.URL, upload(dossier.Upload{Field: "image", Value: "<{{username}}>", Name: "{{serial}}.txt"}, "/firmware"))), right)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Equal(t, "<owner>", string(*image))
	assert.Contains(t, got.Text, serial+".txt 7")

	gone := upload(dossier.Upload{Field: "image", File: firmware + ".none"}, "/firmware")
	_, err := driver(t, form(s.URL, gone)).Do(t.Context(), "it", right)
	require.ErrorIs(t, err, probes.ErrBench, "a file that the bench lacks is not the device's fault")

	// What the device says about redirects is followed only where the recipe leaves it so.
	operation := form(s.URL)
	operation.Steps[1].HTTP.Redirects, operation.Steps[1].Capture = "none", nil
	operation.Steps[1].Success = "reply.status == 303 && reply.redirects == 0 && reply.headers.location == '/home'"
	got = do(t, driver(t, operation), right)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
}

func TestHTTPClientCertificate(t *testing.T) {
	dir, ca := certificates(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = serving(t, dir, ca)
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	t.Cleanup(s.Close)
	step := get(s.URL)
	got := try(t, step)
	assert.Contains(t, []probes.Outcome{probes.Refused, probes.Reset}, got.Outcome, "no certificate: %s", got.Detail)
	step.HTTP.TLS = mutual(t, dir)
	got = try(t, step)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Contains(t, got.Text, "leaf")
	strange, _ := certificates(t)
	mixed := mutual(t, strange)
	mixed.CA = filepath.Join(dir, "ca.pem")
	step.HTTP.TLS = mixed
	got = try(t, step)
	assert.Contains(t, []probes.Outcome{probes.Refused, probes.Reset}, got.Outcome, "another's certificate: %s", got.Detail)
	step.HTTP.TLS.CA = filepath.Join(strange, "ca.pem")
	assert.Equal(t, errStranger.Error(), try(t, step).Detail)
}

// busybox's web server, which nobody here wrote, with a login by form and a session in a cookie.
func TestBusyboxForm(t *testing.T) {
	program := installed(t, "busybox", "busybox")
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "cgi-bin"), 0o755))
	script := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cgi-bin", name), []byte("#!/bin/sh\n"+text), 0o755))
	}
	script("form", `printf 'Content-Type: text/html\r\nSet-Cookie: seen=yes; Path=/\r\n\r\n<input name="csrf" value="t0ken">'`)
	script("login", `body=$(head -c "$CONTENT_LENGTH")
case "$HTTP_COOKIE $body" in
"seen=yes csrf=t0ken&password=right&user=owner") printf 'Content-Type: text/plain\r\nSet-Cookie: id=42; Path=/\r\n\r\nwelcome';;
*) printf 'Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nno: %s %s' "$HTTP_COOKIE" "$body";;
esac`)
	script("home", `case "$HTTP_COOKIE" in *id=42*) printf 'Content-Type: text/plain\r\n\r\nhome';; *) printf 'Status: 401 Unauthorized\r\n\r\n';; esac`)
	script("upload", `printf 'Content-Type: text/plain\r\n\r\n'; head -c "$CONTENT_LENGTH" | grep -c 'image-body'`)
	address := closedPort(t, "tcp")
	start(t, program, "httpd", "-f", "-p", address, "-h", dir)
	url := "http://" + address + "/cgi-bin"
	fetch := get(url + "/form")
	fetch.Capture = map[string]string{"csrf": `reply.body.find('value="([^"]+)"')`}
	post := dossier.Step{HTTP: &dossier.HTTPStep{Method: "POST", URL: url + "/login", Form: map[string]string{
		"csrf": "{{csrf}}", "user": "{{username}}", "password": "{{password}}"}}}
	upload := dossier.Step{HTTP: &dossier.HTTPStep{URL: url + "/upload", Upload: &dossier.Upload{Field: "f", Value: "image-body"}}, Success: "reply.body == '1\\n'"}
	fetch.Seconds = 5
	d := driver(t, steps(fetch, post, get(url+"/home"), upload))
	got := until(t, d, probes.Args{"username": "owner", "password": "right"})
	assert.Equal(t, probes.Done, got.Outcome, "%s %s", got.Detail, got.Text)
	got = do(t, d, probes.Args{"username": "owner", "password": "wrong"})
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
}

// A device that is sound sends whoever did not log in to its login page, and that is a page like any other. Without a word
// of the recipe on what success is, nobody is let in by it.
func TestLoginPageIsNoSuccess(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("p") == password {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1"})
			http.Redirect(w, r, "/home", http.StatusFound)
			return
		}
		http.Redirect(w, r, "/login?again", http.StatusFound)
	})
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Who are you?") })
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("sid"); err != nil {
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	})
	device := httptest.NewServer(mux)
	defer device.Close()
	secure := httptest.NewTLSServer(mux)
	defer secure.Close()
	toTLS := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secure.URL+r.URL.Path, http.StatusMovedPermanently)
	}))
	defer toTLS.Close()
	post := func(at string) dossier.Step {
		return dossier.Step{HTTP: &dossier.HTTPStep{Method: "POST", URL: at + "/login", Form: map[string]string{"p": "{{password}}"}}}
	}
	told := post(device.URL)
	told.Success = "reply.url.endsWith('/home')"
	refused := post(device.URL)
	refused.Refused = "reply.url.contains('again')"
	for name, c := range map[string]struct {
		login                dossier.Operation
		right, wrong, nobody probes.Outcome
	}{
		"untold":              {steps(post(device.URL)), probes.Unexpected, probes.Unexpected, ""},
		"with success":        {steps(told), probes.Done, probes.Unexpected, ""},
		"with refused":        {steps(refused), probes.Done, probes.Refused, ""},
		"into TLS":            {steps(post(toTLS.URL)), probes.Unexpected, probes.Unexpected, ""},
		"no login but a page": {dossier.Operation{Steps: []dossier.Step{told}, Anonymous: []dossier.Step{get(device.URL + "/home")}}, probes.Done, probes.Unexpected, probes.Unexpected},
	} {
		t.Run(name, func(t *testing.T) {
			d := driver(t, steps(get(device.URL)), func(o *Options) {
				o.Dossier.Operations = map[string]dossier.Operation{"login-http": c.login}
			})
			type ask struct {
				want probes.Outcome
				args probes.Args
			}
			asks := []ask{
				{c.right, probes.Args{"username": "owner", "password": password}},
				{c.wrong, probes.Args{"username": "owner", "password": "wrong"}},
			}
			if c.nobody != "" {
				asks = append(asks, ask{c.nobody, nil})
			}
			for _, a := range asks {
				got, err := d.Do(t.Context(), "login-http", a.args)
				require.NoError(t, err)
				assert.Equal(t, a.want, got.Outcome, got.Detail)
			}
		})
	}
}
