package services

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	coapudp "github.com/plgd-dev/go-coap/v3/udp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// storms is how many connections or datagrams a device gone mad makes.
const storms = 10_000

// storm makes connections, says nonsense on each, and keeps the last so many of them open.
func storm(t *testing.T, at string, keep int, words []string) (open []net.Conn) {
	t.Helper()
	for i := range storms {
		c, err := net.DialTimeout("tcp", at, time.Minute)
		require.NoError(t, err, "connection %d", i)
		_, _ = c.Write([]byte(words[i%len(words)])) // one that was hung up on is told so
		if open = append(open, c); len(open) > keep {
			hangUp(open[:1])
			open = open[1:]
		}
	}
	return open
}

// hangUp leaves no port waiting that a test beside this one might be given.
func hangUp(open []net.Conn) {
	for _, c := range open {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// Ten thousand connections with what is no TLS and no MQTT: the bench holds a bounded number, and serves on.
func TestTenThousandConnectionsCostTheBrokerNothing(t *testing.T) {
	noLeaks(t)
	b, secure, plain, roots := startBroker(t)
	defer b.Close()
	before := runtime.NumGoroutine()
	for at, words := range map[string][]string{
		secure: {"", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "\x16\x03\x01\xff\xff", strings.Repeat("\xfe\xdc", 500)},
		plain:  {"", "\x10\xff\xff\xff\x7f", "\x10\x0c\x00\x04MQTT\xff\x02\x00\x3c\x00\x00", "\x30\x03\x00\xff\xff", strings.Repeat("\xfe\xdc", 500)},
	} {
		open := storm(t, at, 2*maxMQTTConns, words)
		assert.LessOrEqual(t, runtime.NumGoroutine()-before, 8*maxMQTTConns)
		hangUp(open)
	}
	// A place is free as soon as the bench has seen that somebody left.
	var c paho.Client
	until := time.Now().Add(time.Minute)
	for err := errors.New("not yet"); err != nil; {
		c, err = connect(t, paho.NewClientOptions().AddBroker("ssl://"+secure).SetClientID("T-1").SetTLSConfig(&tls.Config{RootCAs: roots, ServerName: cloud}))
		require.True(t, err == nil || time.Now().Before(until), "%v", err)
	}
	defer c.Disconnect(0)
	publish(t, c, "thermostat/1/status", "on", true)
	kept, err := b.Retained(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"T-1 thermostat/1/status=on"}, topics(kept), "nothing of the storm was taken")
}

// The same for the server of updates, and datagrams that are no CoAP: none of it counts as a fetch.
func TestTenThousandRequestsCostTheUpdatesNothing(t *testing.T) {
	noLeaks(t)
	u, roots := startUpdates(t)
	defer u.Close()
	image := pattern(5000)
	over, err := u.Offer(t.Context(), "https", image)
	require.NoError(t, err)
	at, err := url.Parse(over.URL())
	require.NoError(t, err)
	hangUp(storm(t, at.Host, 2*maxHTTPConns, []string{"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", strings.Repeat("\xfe\xdc", 500)}))
	assert.Equal(t, probes.Fetched{}, over.Fetched())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "updates.thermostat.example"}, DisableKeepAlives: true}
	until := time.Now().Add(time.Minute)
	for {
		r, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(over.URL())
		if err == nil {
			body, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			require.NoError(t, err)
			assert.Equal(t, image, body)
			break
		}
		require.True(t, time.Now().Before(until), "%v", err)
	}

	by, err := u.Offer(t.Context(), "coap", image)
	require.NoError(t, err)
	if at, err = url.Parse(by.URL()); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", at.Host)
	require.NoError(t, err)
	defer c.Close()
	words := []string{"", "\x40", "\x4f\x01\x00\x01", "\x40\x01\x00\x01\xff", "\x40\x01\x00\x01\xd0", "\x60\x00\x00\x01", "\x44\x45\x00\x01abcd\xffx", strings.Repeat("\xfe\xdc", 700)}
	for i := range storms {
		_, _ = c.Write([]byte(words[i%len(words)]))
	}
	assert.Equal(t, probes.Fetched{}, by.Fetched())
	honest, err := coapudp.Dial(at.Host, options.WithBlockwise(true, blockwise.SZX1024, 30*time.Second))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err := honest.Get(ctx, at.Path)
	require.NoError(t, err)
	body, err := answer.ReadBody()
	require.NoError(t, err)
	assert.Equal(t, image, body)
	_ = honest.Close()
	<-honest.Done()
}
