package analyze

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// A httpTalk reads HTTP/1: heads, and of bodies only short ones that may hold a login.
type httpTalk struct {
	waiting []*HTTPExchange // requests without response, oldest first
	half    [2]httpHalf
}

type httpHalf struct {
	form    int    // bytes of a body to read
	kind    string // its content type
	chunked bool
	closing bool // the body goes on to the end of the connection
	adrift  bool // bytes are missing: wait for a head
}

const (
	maxHead     = 32 << 10
	maxForm     = 16 << 10
	maxRequests = 64
)

func (t *httpTalk) lost(dir int)         { t.half[dir] = httpHalf{adrift: true} }
func (t *httpTalk) end(*analyzer, *flow) {}

func (t *httpTalk) take(a *analyzer, f *flow, dir int, b []byte) int {
	h := &t.half[dir]
	switch {
	case h.closing:
		return len(b)
	case h.form > 0:
		if len(b) < h.form {
			return 0
		}
		a.form(f, h.kind, b[:h.form])
		n := h.form
		h.form = 0
		return n
	case h.chunked:
		return t.chunk(f, dir, b)
	case h.adrift && !isHTTP(b):
		if maybeHTTP(b) {
			return 0
		}
		return len(b)
	}
	h.adrift = false
	if !isHTTP(b) {
		if maybeHTTP(b) {
			return 0
		}
		if b[0] == '\r' || b[0] == '\n' {
			return 1
		}
		return done // an upgrade, or no HTTP after all
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxHead {
			return done
		}
		return 0
	}
	t.head(a, f, dir, b[:end])
	return end + 4
}

// chunk steps over a chunk and its length line (RFC 9112, section 7.1).
func (t *httpTalk) chunk(f *flow, dir int, b []byte) int {
	end := bytes.Index(b[:min(len(b), 64)], []byte("\r\n"))
	if end < 0 {
		if len(b) >= 64 {
			return done
		}
		return 0
	}
	digits, _, _ := strings.Cut(string(b[:end]), ";")
	size, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 31)
	if err != nil {
		return done
	}
	if size == 0 {
		t.half[dir].chunked = false // trailers are rare: the blank line after it is stepped over
		return end + 2
	}
	f.half[dir].skip = int64(end) + 2 + int64(size) + 2
	return 0
}

// fields are the header fields that are read.
type fields struct {
	host, kind, agent, software, authorization string
	length                                     int64
	chunked                                    bool
}

func readFields(lines []byte) (h fields) {
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		text := string(bytes.TrimSpace(value))
		switch len(name) { // spares most names the comparison
		case 4:
			if strings.EqualFold(string(name), "host") {
				h.host = clean(text)
			}
		case 6:
			if strings.EqualFold(string(name), "server") {
				h.software = clean(text)
			}
		case 10:
			if strings.EqualFold(string(name), "user-agent") {
				h.agent = clean(text)
			}
		case 12:
			if strings.EqualFold(string(name), "content-type") {
				h.kind = clean(text)
			}
		case 13:
			if strings.EqualFold(string(name), "authorization") {
				h.authorization = text
			}
		case 14:
			if strings.EqualFold(string(name), "content-length") {
				h.length, _ = strconv.ParseInt(text, 10, 64)
				h.length = max(0, h.length)
			}
		case 17:
			if strings.EqualFold(string(name), "transfer-encoding") {
				h.chunked = strings.Contains(strings.ToLower(text), "chunked")
			}
		}
	}
	return h
}

func (t *httpTalk) head(a *analyzer, f *flow, dir int, head []byte) {
	first, rest, _ := bytes.Cut(head, []byte("\r\n"))
	words := strings.SplitN(string(first), " ", 3)
	if len(words) < 2 {
		return
	}
	h := readFields(rest)
	if strings.HasPrefix(words[0], "HTTP/") {
		t.response(f, dir, words, h)
		return
	}
	*a.total("http requests")++
	target, query, _ := strings.Cut(words[1], "?")
	e := &HTTPExchange{
		Client: f.ends[dir].String(), Server: f.ends[1-dir].String(), Method: clean(words[0]), Host: h.host, Path: clean(target),
		Agent: h.agent, Sent: Count(h.length), Frame: a.frame.Number,
	}
	if query != "" {
		if e.Path += "?..."; a.options.ShowSecrets {
			e.Path = clean(words[1])
		}
		a.query(f, "HTTP query", query)
	}
	a.http.add(a, "HTTP exchanges", e)
	if len(t.waiting) < maxRequests {
		t.waiting = append(t.waiting, e)
	}
	a.authorization(f, h.authorization)
	kind := strings.ToLower(h.kind)
	login := strings.Contains(kind, "urlencoded") || strings.Contains(kind, "json")
	switch {
	case h.chunked:
		t.half[dir].chunked = true
	case login && h.length > 0 && h.length <= maxForm:
		t.half[dir].form, t.half[dir].kind = int(h.length), kind
	default:
		f.half[dir].skip = h.length
	}
}

func (t *httpTalk) response(f *flow, dir int, words []string, h fields) {
	status, _ := strconv.Atoi(words[1])
	if status/100 == 1 && status != 101 {
		return
	}
	var e *HTTPExchange
	if len(t.waiting) > 0 {
		e, t.waiting = t.waiting[0], t.waiting[1:]
		e.Status, e.Type, e.Software, e.Received = status, h.kind, h.software, Count(h.length)
	}
	half := &t.half[dir]
	switch {
	case status == 204 || status == 304 || e != nil && e.Method == "HEAD":
	case status == 101:
		half.closing, t.half[1-dir].closing = true, true
	case h.chunked:
		half.chunked = true
	case h.length > 0:
		half.form, half.kind = 0, ""
		f.half[dir].skip = h.length
	case e != nil && h.length == 0 && h.kind != "" && words[0] == "HTTP/1.0":
		half.closing = true
	}
}

// authorization reads the header that carries logins (RFC 7617, RFC 6750).
func (a *analyzer) authorization(f *flow, value string) {
	scheme, rest, _ := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(scheme) {
	case "basic":
		if plain, err := base64.StdEncoding.DecodeString(rest); err == nil {
			user, password, _ := strings.Cut(string(plain), ":")
			a.secret("HTTP Basic", f, user, password, "")
		}
	case "bearer":
		a.secret("HTTP Bearer", f, "", rest, "")
	}
}

// secretName tells the names that forms and documents give to secrets.
var secretName = regexp.MustCompile(`(?i)^(.*_)?(pass(word|wd|phrase|code)?|pwd|pin|psk|secret|token|api_?key|access_?token|wifi_?key)$`)

var userName = regexp.MustCompile(`(?i)^(user(_?name)?|login|email|account|name)$`)

// query reads a form's pairs.
func (a *analyzer) query(f *flow, protocol, text string) {
	values, _ := url.ParseQuery(text) // what is well formed
	var user string
	for name, v := range values {
		if userName.MatchString(name) && len(v) > 0 {
			user = v[0]
		}
	}
	for name, v := range values {
		if secretName.MatchString(name) && len(v) > 0 && v[0] != "" {
			a.secret(protocol, f, user, v[0], "field "+clean(name))
		}
	}
}

var jsonPair = regexp.MustCompile(`"([A-Za-z_\-]{1,40})"\s*:\s*"((?:[^"\\]|\\.){1,256})"`)

// form reads a short body for a login.
func (a *analyzer) form(f *flow, kind string, body []byte) {
	if strings.Contains(kind, "urlencoded") {
		a.query(f, "HTTP form", string(body))
		return
	}
	var user string
	pairs := jsonPair.FindAllSubmatch(body, 32)
	for _, p := range pairs {
		if userName.Match(p[1]) {
			user = string(p[2])
		}
	}
	for _, p := range pairs {
		if secretName.Match(p[1]) {
			a.secret("HTTP JSON", f, user, string(p[2]), "field "+clean(p[1]))
		}
	}
}

// ssdp notes who announces or looks for what (UPnP Device Architecture, section 1).
func (a *analyzer) ssdp(f *flow, dir int, b []byte) {
	first, rest, _ := bytes.Cut(b, []byte("\r\n"))
	info := strings.SplitN(string(first), " ", 2)[0]
	if software := readFields(rest).software; software != "" {
		info += " by " + software
	}
	a.message("SSDP", f.ends[dir].Addr().String(), f.ends[1-dir].Addr().String(), clean(info))
}
