package services

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/mqttdoor"
	"assay/probes"
)

const cloud = "cloud.thermostat.example"

func startBroker(t *testing.T) (b *Broker, secure, plain string, roots *x509.CertPool) {
	t.Helper()
	certificate, roots := identity(t, cloud)
	s, p := tcp(t), tcp(t)
	b, err := StartBroker(BrokerOptions{
		TLS: s, Certificate: certificate, Plain: p, Username: "bench", Password: "correct horse", Now: time.Now,
	})
	require.NoError(t, err)
	return b, s.Addr().String(), p.Addr().String(), roots
}

func connect(t *testing.T, o *paho.ClientOptions) (paho.Client, error) {
	t.Helper()
	o.SetConnectTimeout(5 * time.Second).SetAutoReconnect(false).SetConnectRetry(false)
	c := paho.NewClient(o)
	token := c.Connect()
	require.True(t, token.WaitTimeout(10*time.Second))
	return c, token.Error()
}

func device(t *testing.T, at string, roots *x509.CertPool, id string) paho.Client {
	t.Helper()
	c, err := connect(t, paho.NewClientOptions().AddBroker("ssl://"+at).SetClientID(id).
		SetTLSConfig(&tls.Config{RootCAs: roots, ServerName: cloud}).SetWill("thermostat/1/gone", "gone", 0, false))
	require.NoError(t, err)
	return c
}

func publish(t *testing.T, c paho.Client, topic, payload string, retain bool) {
	t.Helper()
	token := c.Publish(topic, 1, retain, payload)
	require.True(t, token.WaitTimeout(10*time.Second))
	require.NoError(t, token.Error())
}

func topics(messages []probes.Message) (out []string) {
	for _, m := range messages {
		out = append(out, fmt.Sprintf("%s %s=%s", m.Client, m.Topic, m.Payload))
	}
	return out
}

func TestBrokerIsTheDevicesCloud(t *testing.T) {
	noLeaks(t)
	b, secure, plain, roots := startBroker(t)
	defer b.Close()
	began := time.Now()
	c := device(t, secure, roots, "T-1")
	publish(t, c, "thermostat/1/status", "on", true)
	publish(t, c, "thermostat/1/note", "hello", false)
	kept, err := b.Retained(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"T-1 thermostat/1/status=on"}, topics(kept))
	assert.False(t, kept[0].At.Before(began))
	seen, err := b.Published(t.Context(), began)
	require.NoError(t, err)
	assert.Equal(t, []string{"T-1 thermostat/1/status=on", "T-1 thermostat/1/note=hello"}, topics(seen))
	seen, err = b.Published(t.Context(), time.Now())
	require.NoError(t, err)
	assert.Empty(t, seen)

	// The bench's own door asks for the password, and reaches the device.
	_, err = connect(t, paho.NewClientOptions().AddBroker("tcp://"+plain).SetUsername("bench").SetPassword("wrong"))
	require.Error(t, err)
	own, err := connect(t, paho.NewClientOptions().AddBroker("tcp://"+plain).SetUsername("bench").SetPassword("correct horse"))
	require.NoError(t, err)
	got := make(chan string, 1)
	token := c.Subscribe("thermostat/1/command", 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) })
	require.True(t, token.WaitTimeout(10*time.Second))
	publish(t, own, "thermostat/1/command", "update", false)
	select {
	case said := <-got:
		assert.Equal(t, "update", said)
	case <-time.After(10 * time.Second):
		t.Fatal("the command never arrived")
	}

	publish(t, c, "thermostat/1/status", "", true)
	kept, err = b.Retained(t.Context())
	require.NoError(t, err)
	assert.Empty(t, kept, "an empty payload clears")
	publish(t, c, "thermostat/1/status", "again", true)
	own.Disconnect(0)
	c.Disconnect(0)
	require.NoError(t, b.Deserted(within(t)))
	b.Clear()
	kept, err = b.Retained(t.Context())
	require.NoError(t, err)
	assert.Empty(t, kept)
}

func TestBrokerKeepsItsBounds(t *testing.T) {
	noLeaks(t)
	b, secure, _, roots := startBroker(t)
	defer b.Close()
	c := device(t, secure, roots, "T-1")
	defer c.Disconnect(0)
	for i := range maxRetained + 5 {
		c.Publish(fmt.Sprintf("fill/%d", i), 0, true, "x")
	}
	publish(t, c, "fill/last", "x", false)
	kept, err := b.Retained(t.Context())
	require.NoError(t, err)
	assert.Len(t, kept, maxRetained)
	assert.EqualValues(t, 5, b.Refused())

	began := time.Now()
	for range maxPublished + 1 {
		b.record("T-1", "flood", []byte("x"), false)
	}
	_, err = b.Published(t.Context(), began)
	require.ErrorIs(t, err, probes.ErrBench, "half a record is no record")
	seen, err := b.Published(t.Context(), time.Now())
	require.NoError(t, err)
	assert.Empty(t, seen)

	token := c.Publish("$SYS/broker/version", 1, true, "mine")
	token.WaitTimeout(100 * time.Millisecond)
	kept, err = b.Retained(t.Context())
	require.NoError(t, err)
	assert.False(t, strings.Contains(strings.Join(topics(kept), " "), "$SYS"))
}

func TestBrokerClosesWithClientsInTheDoor(t *testing.T) {
	noLeaks(t)
	b, secure, plain, roots := startBroker(t)
	device(t, secure, roots, "T-1")
	mute, err := tls.Dial("tcp", secure, &tls.Config{RootCAs: roots, ServerName: cloud})
	require.NoError(t, err)
	defer mute.Close()
	_ = plain
	require.NoError(t, b.Close())
}

// Devices that leave while the bench looks who is there stop neither of the two.
func TestBrokerIsLeftAndClosedAtOnce(t *testing.T) {
	noLeaks(t)
	b, _, plain, _ := startBroker(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				c, err := net.DialTimeout("tcp", plain, 10*time.Second)
				if err != nil {
					return // closed
				}
				_, _ = c.Write(fmt.Appendf(nil, "\x10\x2c\x00\x04MQTT\x04\xc2\x00\x3c\x00\x0aclient-%03d\x00\x05bench\x00\x0dcorrect horse", i))
				_, _ = io.ReadFull(c, make([]byte, 4))
				_ = c.Close()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 2000 {
			mqttdoor.Clients(b.server, plainDoor)
			assert.NoError(t, b.Deserted(t.Context()))
		}
		assert.NoError(t, b.Close())
		wg.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		require.FailNow(t, "the broker stands still")
	}
}
