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
	client := &http.Client{Transport: transport, Jar: r.cookies, CheckRedirect: sameHost}
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
	return httpAnswer(response, body), nil
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
	request, err := http.NewRequestWithContext(ctx, strings.ToUpper(method), u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, x.fault(fmt.Errorf("method %q and %s make no request", method, h.URL))
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

// body makes what a request carries, and its content type.
func (x *scope) body(s step) ([]byte, string, error) {
	h := s.HTTP
	switch {
	case h.JSON != nil:
		v, err := expandAny(h.JSON, x.lookup)
		if err != nil {
			return nil, "", fmt.Errorf("json: %w", err)
		}
		body, err := json.Marshal(v)
		if err != nil {
			return nil, "", fmt.Errorf("json: %w", err)
		}
		return body, "application/json", nil
	case h.Form != nil:
		form := make(url.Values)
		for name, template := range h.Form {
			value, err := x.text("form "+name, template)
			if err != nil {
				return nil, "", err
			}
			form.Set(name, value)
		}
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	}
	body, err := x.text("body", h.Body)
	return []byte(body), "", err
}

// sameHost follows a device's redirects on the device only, and never out of TLS.
func sameHost(next *http.Request, before []*http.Request) error {
	from := before[len(before)-1].URL
	switch {
	case len(before) > maxRedirects, next.URL.Hostname() != before[0].URL.Hostname(),
		from.Scheme == "https" && next.URL.Scheme != "https":
		return http.ErrUseLastResponse // the redirect itself is the answer
	}
	return nil
}

func httpError(err error, connected bool) (answer, error) {
	var layer *url.Error
	if errors.As(err, &layer) {
		err = layer.Err // it repeats the URL
	}
	var dial dialError
	if !connected && !errors.As(err, &dial) {
		err = dialError{err} // the deadline came first
	}
	return noReply(err)
}

func httpAnswer(response *http.Response, body []byte) answer {
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
	a.reply = map[string]any{
		"status": int64(response.StatusCode), "body": valid(string(body)), "json": jsonOf(body), "headers": headers,
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
