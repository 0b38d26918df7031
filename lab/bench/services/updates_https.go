package services

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// serveHTTP answers GET and HEAD, with one byte range where asked (RFC 9110, section 14).
func (u *Updates) serveHTTP(w http.ResponseWriter, r *http.Request) {
	o := u.find("https", strings.TrimPrefix(r.URL.Path, "/"), callerOf(r))
	if o == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	o.asked()
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range") // several ranges: a server may ignore the field (section 14.2)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+hex.EncodeToString(o.tag[:])+`"`)
	http.ServeContent(&counting{ResponseWriter: w, o: o, body: r.Method == http.MethodGet}, r, "", time.Time{}, bytes.NewReader(o.image))
}

// callerOf is who asks; nil where that cannot be told.
func callerOf(r *http.Request) net.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(at)
}

// counting notes which bytes of the image a response carries. It hides the
// ReadFrom of the writer below, so that every byte passes Write.
type counting struct {
	http.ResponseWriter
	o    *offer
	body bool // what is written now is the image's
	at   int
}

// WriteHeader learns where in the image the body begins.
func (c *counting) WriteHeader(status int) {
	switch status {
	case http.StatusOK:
	case http.StatusPartialContent:
		if _, err := fmt.Sscanf(c.Header().Get("Content-Range"), "bytes %d-", &c.at); err != nil {
			c.body = false
		}
	default:
		c.body = false
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write passes a piece of the image on. It is counted first, so that a device that has everything is known
// to have it, and what could not be sent is taken back.
func (c *counting) Write(p []byte) (int, error) {
	if !c.body {
		return c.ResponseWriter.Write(p)
	}
	c.o.gave(c.at, len(p))
	n, err := c.ResponseWriter.Write(p)
	c.o.tookBack(c.at+n, len(p)-n)
	c.at += n
	return n, err
}
