package services

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	coapudp "github.com/plgd-dev/go-coap/v3/udp"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

func startUpdates(t *testing.T) (*Updates, *x509.CertPool) {
	t.Helper()
	certificate, roots := identity(t, "updates.thermostat.example")
	l, c := tcp(t), udp(t)
	return StartUpdates(UpdatesOptions{
		HTTPS: l, Certificate: certificate, HTTPSBase: "https://" + l.Addr().String(),
		CoAP: []net.PacketConn{c}, CoAPBase: "coap://" + c.LocalAddr().String(),
	}), roots
}

func pattern(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func get(t *testing.T, roots *x509.CertPool, from, ranges string) (int, []byte) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "updates.thermostat.example"}, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, from, nil)
	require.NoError(t, err)
	if ranges != "" {
		request.Header.Set("Range", ranges)
	}
	r, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, b
}

func TestUpdatesOverHTTPSCountsEveryByte(t *testing.T) {
	noLeaks(t)
	u, roots := startUpdates(t)
	defer u.Close()
	image := pattern(100_003)
	o, err := u.Offer(t.Context(), "https", image)
	require.NoError(t, err)
	assert.Equal(t, probes.Fetched{}, o.Fetched())

	status, part := get(t, roots, o.URL(), "bytes=0-49999")
	assert.Equal(t, http.StatusPartialContent, status)
	assert.Equal(t, image[:50000], part)
	assert.Equal(t, probes.Fetched{Requests: 1, Bytes: 50000}, o.Fetched())
	status, part = get(t, roots, o.URL(), "bytes=40000-")
	assert.Equal(t, http.StatusPartialContent, status)
	assert.Equal(t, image[40000:], part)
	assert.Equal(t, probes.Fetched{Requests: 2, Bytes: 110_003, Complete: true}, o.Fetched())
	status, whole := get(t, roots, o.URL(), "bytes=0-1,5-6")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, image, whole)
	status, _ = get(t, roots, o.URL(), "bytes=900000-")
	assert.Equal(t, http.StatusRequestedRangeNotSatisfiable, status)
	assert.EqualValues(t, 210_006, o.Fetched().Bytes)

	status, _ = get(t, roots, strings.Replace(o.URL(), "/image", "/other", 1), "")
	assert.Equal(t, http.StatusNotFound, status)
	require.NoError(t, o.Close())
	status, _ = get(t, roots, o.URL(), "")
	assert.Equal(t, http.StatusNotFound, status, "withdrawn")
}

func TestUpdatesOverCoAPBlockWise(t *testing.T) {
	noLeaks(t)
	u, _ := startUpdates(t)
	defer u.Close()
	image := pattern(70_001)
	o, err := u.Offer(t.Context(), "coap", image)
	require.NoError(t, err)
	at, err := url.Parse(o.URL())
	require.NoError(t, err)
	for _, szx := range []blockwise.SZX{blockwise.SZX64, blockwise.SZX1024} {
		c, err := coapudp.Dial(at.Host, options.WithBlockwise(true, szx, 5*time.Second))
		require.NoError(t, err)
		r, err := c.Get(within(t), at.Path)
		require.NoError(t, err)
		body, err := r.ReadBody()
		require.NoError(t, err)
		assert.Equal(t, codes.Content, r.Code())
		assert.True(t, bytes.Equal(image, body))
		missing, err := c.Get(within(t), "/"+strings.Repeat("0", 32)+"/image")
		require.NoError(t, err)
		assert.Equal(t, codes.NotFound, missing.Code())
		_ = c.Close()
		<-c.Done()
	}
	f := o.Fetched()
	assert.True(t, f.Complete)
	assert.GreaterOrEqual(t, f.Bytes, int64(2*len(image)))
}

func TestUpdatesRefusesAWayItDoesNotServe(t *testing.T) {
	u := StartUpdates(UpdatesOptions{})
	defer u.Close()
	for _, via := range []string{"https", "coap", "ftp"} {
		_, err := u.Offer(t.Context(), via, nil)
		require.ErrorIs(t, err, probes.ErrBench)
	}
}

// request encodes a CoAP request.
func request(t testing.TB, m message.Message) []byte {
	t.Helper()
	b := encodeCoAP(m)
	require.NotNil(t, b)
	return b
}

func path(m message.Message, segments ...string) message.Message {
	for _, s := range segments {
		m.Options = m.Options.Add(message.Option{ID: message.URIPath, Value: []byte(s)})
	}
	return m
}

func TestCoAPAnswersByTheBook(t *testing.T) {
	noLeaks(t)
	u := StartUpdates(UpdatesOptions{CoAP: []net.PacketConn{udp(t)}, CoAPBase: "coap://x"})
	defer u.Close()
	o, err := u.Offer(t.Context(), "coap", pattern(1500))
	require.NoError(t, err)
	id := o.(*offer).path
	get := path(message.Message{Type: message.Confirmable, Code: codes.GET, MessageID: 7, Token: []byte{1}}, id, "image")
	block := func(value uint32) message.Message {
		m := path(message.Message{Type: message.Confirmable, Code: codes.GET, MessageID: 7}, id, "image")
		m.Options = addUint(m.Options, message.Block2, value)
		return m
	}
	critical := get
	critical.Options = get.Options.Add(message.Option{ID: 65001, Value: []byte{1}})
	wants := get
	wants.Options = addUint(get.Options, message.Accept, uint32(message.AppJSON))
	for _, c := range []struct {
		name string
		in   message.Message
		want codes.Code
	}{
		{"whole", get, codes.Content},
		{"post", path(message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: 7}, id, "image"), codes.MethodNotAllowed},
		{"unknown critical option", critical, codes.BadOption},
		{"another format", wants, codes.NotAcceptable},
		{"second block", block(1<<4 | 6), codes.Content},
		{"block beyond the end", block(2<<4 | 6), codes.BadRequest},
		{"reserved block size", block(7), codes.BadRequest},
	} {
		out := message.Message{Options: make(message.Options, 0, 16)}
		_, err := coder.DefaultCoder.Decode(u.answerCoAP(nil, request(t, c.in)), &out)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, out.Code, c.name)
		assert.Equal(t, message.Acknowledgement, out.Type, c.name)
		assert.EqualValues(t, 7, out.MessageID, c.name)
	}
	assert.Nil(t, u.answerCoAP(nil, request(t, message.Message{Type: message.Acknowledgement, Code: codes.GET, MessageID: 1})))
	assert.Nil(t, u.answerCoAP(nil, request(t, message.Message{Type: message.NonConfirmable, Code: codes.Content, MessageID: 1})))
	assert.Nil(t, u.answerCoAP(nil, []byte{0x40, 1}))
	ping := u.answerCoAP(nil, request(t, message.Message{Type: message.Confirmable, Code: codes.Empty, MessageID: 9}))
	assert.Equal(t, []byte{0x70, 0, 0, 9}, ping)
}

func FuzzCoAP(f *testing.F) {
	u := &Updates{offers: map[string]*offer{}}
	o := newOffer(u, "coap", "abc", "", pattern(5000))
	u.offers["abc"] = o
	f.Add(request(f, path(message.Message{Type: message.Confirmable, Code: codes.GET, MessageID: 7, Token: []byte{1, 2}}, "abc", "image")))
	m := path(message.Message{Type: message.NonConfirmable, Code: codes.GET, MessageID: 7}, "abc", "image")
	m.Options = addUint(m.Options, message.Block2, 3<<4|2)
	f.Add(request(f, m))
	f.Add([]byte{0x40, 0, 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > maxDatagram {
			return
		}
		if out := u.answerCoAP(nil, in); out != nil {
			require.LessOrEqual(t, len(out), 1100)
			m := message.Message{Options: make(message.Options, 0, 16)}
			_, err := coder.DefaultCoder.Decode(out, &m)
			require.NoError(t, err)
		}
	})
}

// TestUpdatesForOneOfSeveral: what is offered to one unit is not there for another, and only what that one fetched counts.
func TestUpdatesForOneOfSeveral(t *testing.T) {
	noLeaks(t)
	certificate, roots := identity(t, "updates.thermostat.example")
	l, c := tcp(t), udp(t)
	var mu sync.Mutex
	var told []string
	said := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(told)
	}
	u := StartUpdates(UpdatesOptions{
		HTTPS: l, Certificate: certificate, HTTPSBase: "https://" + l.Addr().String(),
		CoAP: []net.PacketConn{c}, CoAPBase: "coap://" + c.LocalAddr().String(), Log: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, line)
		},
	})
	image := pattern(5_000)
	var here atomic.Bool
	mine := u.For("unit-2", func(a net.Addr) bool {
		host, _, err := net.SplitHostPort(a.String())
		return err == nil && host == "127.0.0.1" && here.Load()
	})
	o, err := mine.Offer(t.Context(), "https", image)
	require.NoError(t, err)
	status, _ := get(t, roots, o.URL(), "")
	assert.Equal(t, http.StatusNotFound, status)
	status, _ = get(t, roots, o.URL(), "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Equal(t, probes.Fetched{}, o.Fetched(), "what another took is not its")
	here.Store(true)
	status, got := get(t, roots, o.URL(), "")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, image, got)
	assert.True(t, o.Fetched().Complete)

	o, err = mine.Offer(t.Context(), "coap", image)
	require.NoError(t, err)
	at, err := url.Parse(o.URL())
	require.NoError(t, err)
	block := func(from string) codes.Code {
		ask := message.Message{Type: message.Confirmable, Code: codes.GET, MessageID: 7, Token: []byte{1}}
		for _, part := range strings.Split(strings.Trim(at.Path, "/"), "/") {
			ask.Options = ask.Options.Add(message.Option{ID: message.URIPath, Value: []byte(part)})
		}
		reply := message.Message{Options: make(message.Options, 0, 16)}
		_, err := coder.DefaultCoder.Decode(u.Answer(&net.UDPAddr{IP: net.ParseIP(from), Port: 5}, request(t, ask)), &reply)
		require.NoError(t, err)
		return reply.Code
	}
	assert.Equal(t, codes.NotFound, block("127.0.0.2"))
	assert.Zero(t, o.Fetched().Requests)
	assert.Equal(t, codes.Content, block("127.0.0.1"))
	assert.Equal(t, 1, o.Fetched().Requests)
	require.NoError(t, u.Close())
	lines := said()
	require.Len(t, lines, 4, "each offer: somebody else asked, and the unit did: %v", lines)
	assert.Contains(t, lines[0], "updates: the image for unit-2 is asked for by 127.0.0.1:")
	assert.Contains(t, lines[2], "updates: the image for unit-2 is asked for by 127.0.0.2:5, and not given")
}
