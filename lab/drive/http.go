package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"assay/probes"
)

const (
	maxRedirects = 5
	maxHeaders   = 64 << 10
)

// http carries out one HTTP request.
func (r *run) http(ctx context.Context, s step, x *scope) (answer, error) {
	request, err := x.request(ctx, s)
	if err != nil {
		return answer{}, err
	}
	if r.cookies == nil {
		if r.cookies, err = cookiejar.New(nil); err != nil {
			return answer{}, fmt.Errorf("cookies: %w", err)
		}
	}
	var connected atomic.Bool
	transport := &http.Transport{
		// Nothing of the bench's environment gets between it and the device.
		Proxy: nil,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connected.Store(false)
			conn, err := dial(ctx, network, address)
			connected.Store(err == nil)
			return conn, err
		},
		TLSClientConfig:        r.tlsConfig(request.URL.Hostname(), s.tls),
		DisableKeepAlives:      true,
		DisableCompression:     true, // what the device sent is what gets searched; and no bombs
		MaxResponseHeaderBytes: maxHeaders,
	}
	defer transport.CloseIdleConnections()
	followed := 0
	client := &http.Client{Transport: transport, Jar: r.cookies, CheckRedirect: func(next *http.Request, before []*http.Request) error {
		if s.HTTP.Redirects == "none" {
			return http.ErrUseLastResponse
		}
		err := sameHost(next, before)
		if err == nil {
			followed = len(before)
		}
		return err
	}}
	response, err := client.Do(request)
	if err != nil {
		return httpError(err, connected.Load())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxText))
	if err != nil {
		a, err := noReply(err)
		a.text = body
		return a, err
	}
	a := httpAnswer(response, body, followed)
	if r.login && r.last && followed > 0 && s.success == nil && s.refused == nil && a.outcome == probes.Done {
		// Most devices send strangers to their login page, and whoever mistyped back to it, with a 200 in the end.
		a.outcome = probes.Unexpected
		a.detail += ", where a login page looks like any other: the recipe wants success or refused"
	}
	return a, nil
}

// request makes the request that a recipe describes.
func (x *scope) request(ctx context.Context, s step) (*http.Request, error) {
	h := s.HTTP
	u, err := x.url(h.URL, "http", "https")
	if err != nil {
		return nil, err
	}
	method, err := x.text("method", h.Method)
	if err != nil {
		return nil, err
	}
	body, kind, err := x.body(s)
	if err != nil {
		return nil, err
	}
	if h.Upload != nil && method == "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, strings.ToUpper(method), u.String(), http.NoBody)
	if err != nil {
		return nil, x.fault(fmt.Errorf("method %q and %s make no request", method, h.URL))
	}
	if err := body.into(request); err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "assay")
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		value, err := x.text("header "+name, h.Headers[name])
		if err != nil {
			return nil, err
		}
		// A line break would begin another header: RFC 9110 5.5.
		if strings.ContainsAny(name+value, "\r\n\x00") {
			return nil, x.fault(fmt.Errorf("header %q holds a line break", name))
		}
		if strings.EqualFold(name, "Host") {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	if h.Basic && !x.bare {
		request.SetBasicAuth(x.args[probes.ArgUsername], x.args[probes.ArgPassword])
	}
	return request, nil
}

// url expands a URL and holds its scheme and host to what the dossier says. A value that the
// device chose may become path or query, and nothing that decides where the bench connects to.
func (x *scope) url(template string, schemes ...string) (*url.URL, error) {
	u, err := expandURL(template, x.lookup)
	if err != nil {
		return nil, x.faultUnlessKnown(err)
	}
	if !slices.Contains(schemes, u.Scheme) {
		return nil, x.fault(fmt.Errorf("url: scheme %q is none of %s", u.Scheme, strings.Join(schemes, ", ")))
	}
	if !x.device {
		return u, nil
	}
	ours, err := expandURL(template, func(name string) (string, error) {
		if _, known, err := x.own(name); known || err != nil {
			return x.lookup(name)
		}
		if _, captured := x.captured[name]; captured {
			return "", nil
		}
		return x.lookup(name)
	})
	if err != nil || ours.Scheme != u.Scheme || ours.Host != u.Host || u.User.String() != ours.User.String() {
		return nil, x.fault(errors.New("url: a captured value must not say where to connect to"))
	}
	return u, nil
}

// faultUnlessKnown keeps the reason where a variable is missing, and otherwise blames who chose the value.
func (x *scope) faultUnlessKnown(err error) error {
	err = fmt.Errorf("url: %w", err)
	if errors.Is(err, errNoAddress) {
		return err
	}
	return x.fault(err)
}

// sameHost follows a device's redirects on the device only, and never out of TLS. Into TLS it follows with all that the
// request says, and not without its body: what a bare GET brings there is no answer to what was asked.
func sameHost(next *http.Request, before []*http.Request) error {
	from := before[len(before)-1]
	switch {
	case len(before) > maxRedirects, next.URL.Hostname() != before[0].URL.Hostname(),
		from.URL.Scheme == "https" && next.URL.Scheme != "https",
		from.URL.Scheme != next.URL.Scheme && from.Method != next.Method:
		return http.ErrUseLastResponse // the redirect itself is the answer
	}
	return nil
}

func httpError(err error, connected bool) (answer, error) {
	var layer *url.Error
	if errors.As(err, &layer) {
		err = layer.Err // it repeats the URL
	}
	if benchFault(err) {
		return answer{}, fmt.Errorf("send the request: %w: %w", err, probes.ErrBench)
	}
	var dial dialError
	if !connected && !errors.As(err, &dial) {
		err = dialError{err} // the deadline came first
	}
	return noReply(err)
}

func httpAnswer(response *http.Response, body []byte, followed int) answer {
	a := answer{outcome: probes.Unexpected}
	switch status := response.StatusCode; {
	case status >= 200 && status < 300:
		a.outcome = probes.Done
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		a.outcome = probes.Refused
	case status == http.StatusTooManyRequests:
		a.outcome = probes.Limited
	}
	headers := make(map[string]any, len(response.Header))
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		value := strings.Join(response.Header[name], ", ")
		headers[strings.ToLower(name)] = valid(value)
		fmt.Fprintf(&text, "%s: %s\n", name, value)
	}
	text.WriteByte('\n')
	text.Write(body)
	a.text = text.Bytes()
	a.detail, a.words = fmt.Sprintf("HTTP %d", response.StatusCode), string(body)
	if followed > 0 {
		a.detail += fmt.Sprintf(" after %d redirects", followed)
	}
	a.reply = map[string]any{
		"status": int64(response.StatusCode), "body": valid(string(body)), "json": jsonOf(body), "headers": headers,
		"url": valid(response.Request.URL.String()), "redirects": int64(followed),
	}
	return a
}

// jsonOf is a document's value, or nil where it is none.
func jsonOf(document []byte) any {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return nil
	}
	return v
}

// valid makes UTF-8 of what may be none: conditions know only that.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
