package power

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// broker is the laboratory's, which the plugs are at.
type broker struct {
	url                string
	server             *url.URL
	username, password string
	client             string
}

func newBroker(address, username, password string) (broker, error) {
	u, err := url.Parse(address)
	if err != nil {
		return broker{}, err
	}
	random := make([]byte, 6)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return broker{url: address, server: u, username: username, password: password, client: "assay-" + hex.EncodeToString(random)}, nil
}

// name is the client's own: answers come to topics below it.
func (b broker) name() string { return b.client }

// message is one that a plug published.
type message struct {
	topic   string
	payload []byte
}

// converse subscribes to answers, publishes one question and returns with the first answer that fits.
// A retained message is an answer to somebody's earlier question and counts for nothing.
func (b broker) converse(ctx context.Context, answers []string, topic, payload string, fits func(topic string, payload []byte) bool) error {
	// More messages than this say nothing new: the rest is let fall, never waited for.
	heard, lost := make(chan message, 16), make(chan error, 1)
	o := mqtt.NewClientOptions().AddBroker(b.server.String()).SetClientID(b.client).SetUsername(b.username).SetPassword(b.password).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(confirmTime).SetOrderMatters(true)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		select {
		case lost <- err:
		default:
		}
	})
	// The library's own way would go through a proxy of the environment.
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) { return dial(ctx, u) })
	c := mqtt.NewClient(o)
	if err := settled(ctx, c.Connect()); err != nil {
		c.Disconnect(0)
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer c.Disconnect(100)
	filters := map[string]byte{}
	for _, f := range answers {
		filters[f] = 1
	}
	subscribed := c.SubscribeMultiple(filters, func(_ mqtt.Client, m mqtt.Message) {
		if m.Retained() || len(m.Payload()) > maxReply {
			return
		}
		select {
		case heard <- message{m.Topic(), m.Payload()}:
		default:
		}
	})
	if err := settled(ctx, subscribed); err != nil {
		return fmt.Errorf("subscribe to %s: %w", answers[0], err)
	}
	if s, ok := subscribed.(*mqtt.SubscribeToken); ok {
		for f, code := range s.Result() {
			if code == 0x80 {
				return fmt.Errorf("subscribe to %s: the broker refuses", f)
			}
		}
	}
	if err := settled(ctx, c.Publish(topic, 1, false, payload)); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	for {
		select {
		case m := <-heard:
			if fits(m.topic, m.payload) {
				return nil
			}
		case err := <-lost:
			return fmt.Errorf("the broker hung up: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("nobody answers at %s: %w", answers[0], ctx.Err())
		}
	}
}

func settled(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dial opens the connection to the broker; over TLS it is verified by the machine's own roots.
func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	switch u.Scheme {
	case "mqtt":
		return new(net.Dialer).DialContext(ctx, "tcp", withPort(u.Host, "1883"))
	case "mqtts":
		return (&tls.Dialer{}).DialContext(ctx, "tcp", withPort(u.Host, "8883"))
	}
	return nil, errors.New("not a broker's URL")
}
