package refdevice

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// How the device keeps its cloud.
const (
	cloudTimeout  = 5 * time.Second
	cloudForget   = 2 * time.Second
	cloudBackoff  = 250 * time.Millisecond
	cloudPatience = 10 * time.Second // longest pause between two tries
	maxCommand    = 4 << 10
)

// A cloud is the device's side of its MQTT service: retained status and profile, commands.
type cloud struct {
	life     *life
	changed  chan struct{}   // something to tell
	forgets  chan chan error // asks to clear what is retained
	commands chan []byte
}

func newCloud(l *life) *cloud {
	return &cloud{life: l, changed: make(chan struct{}, 1), forgets: make(chan chan error), commands: make(chan []byte, 4)}
}

func (c *cloud) topic(name string) string { return "thermostat/" + c.life.config.Serial + "/" + name }

// tell has the status published soon.
func (c *cloud) tell() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// forget clears the retained messages and waits for it; it fails where the cloud is not there.
func (c *cloud) forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cloudForget)
	defer cancel()
	answer := make(chan error, 1)
	select {
	case c.forgets <- answer:
	case <-ctx.Done():
		return fmt.Errorf("clear retained messages: no cloud: %w", ctx.Err())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("clear retained messages: %w", ctx.Err())
	}
}

// run keeps a session until the context ends. It begins when the time is known, since certificates have dates.
func (c *cloud) run(ctx context.Context, timeKnown <-chan struct{}) {
	select {
	case <-timeKnown:
	case <-ctx.Done():
		return
	}
	for wait := cloudBackoff; ; wait = min(2*wait, cloudPatience) {
		connected, err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		c.life.log.Warn("cloud lost", "error", err)
		if connected {
			wait = cloudBackoff
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// session is one connection to the cloud.
func (c *cloud) session(ctx context.Context) (connected bool, err error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return false, err
	}
	lost := make(chan error, 1)
	client := paho.NewClient(c.options(conn, lost))
	defer client.Disconnect(0)
	defer conn.Close() // before Disconnect, which would wait for an answer
	if err := await(ctx, client.Connect()); err != nil {
		return false, fmt.Errorf("connect to the cloud: %w", err)
	}
	switch s := c.life.boot.current(); {
	case s.Wiping:
		return true, errResetting
	case s.Forget:
		if err := c.clear(ctx, client); err != nil {
			return true, err
		}
	}
	if err := await(ctx, client.Subscribe(c.topic("command"), 1, c.onCommand)); err != nil {
		return true, fmt.Errorf("subscribe to commands: %w", err)
	}
	if err := c.publish(ctx, client); err != nil {
		return true, err
	}
	c.life.log.Info("cloud connected", "cloud", c.life.config.Cloud)
	return true, c.serve(ctx, client, lost)
}

func (c *cloud) serve(ctx context.Context, client paho.Client, lost <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case <-c.changed:
			if err := c.publish(ctx, client); err != nil {
				return err
			}
		case answer := <-c.forgets:
			err := c.clear(ctx, client)
			answer <- err
			if err != nil {
				return err
			}
			<-ctx.Done() // nothing may be published any more
			return ctx.Err()
		case b := <-c.commands:
			c.command(ctx, b)
		}
	}
}

// dial connects and verifies the cloud's certificate against the maker's root, its name and the device's clock.
func (c *cloud) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cloudTimeout)
	defer cancel()
	host, _, err := net.SplitHostPort(c.life.config.Cloud)
	if err != nil {
		return nil, fmt.Errorf("dial the cloud: %w", err)
	}
	raw, err := c.life.uplink.resolver.dial(ctx, "tcp", c.life.config.Cloud)
	if err != nil {
		return nil, fmt.Errorf("dial the cloud: %w", err)
	}
	conn := tls.Client(raw, c.life.clientTLS(host))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("dial the cloud: %w", err)
	}
	return conn, nil
}

func (c *cloud) options(conn net.Conn, lost chan<- error) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.AddBroker("tls://" + c.life.config.Cloud)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return conn, nil })
	o.SetClientID(c.life.config.Serial)
	o.SetProtocolVersion(4) // MQTT 3.1.1
	o.SetCleanSession(true)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetConnectTimeout(cloudTimeout)
	o.SetWriteTimeout(cloudTimeout)
	o.SetPingTimeout(cloudTimeout)
	o.SetKeepAlive(15 * time.Second)
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		select {
		case lost <- err:
		default:
		}
	})
	return o
}

// onCommand queues a command; a cloud that sends more than the device can take loses the rest.
func (c *cloud) onCommand(_ paho.Client, m paho.Message) {
	if len(m.Payload()) > maxCommand {
		return
	}
	select {
	case c.commands <- m.Payload():
	default:
	}
}

func (c *cloud) command(ctx context.Context, b []byte) {
	var ask struct {
		Update string `json:"update"`
	}
	err := json.Unmarshal(b, &ask)
	if err == nil {
		err = c.life.askUpdate(ctx, ask.Update)
	}
	if err != nil {
		c.life.log.Warn("command not obeyed", "error", err)
	}
}

// publish tells the cloud what the device is and, where it has an owner, what it is called.
func (c *cloud) publish(ctx context.Context, client paho.Client) error {
	name := c.life.store.profile().Name
	version, state, last := c.life.status()
	for _, m := range []struct {
		topic string
		body  any
		send  bool
	}{
		{"status", statusMessage{version, state, name, last}, true},
		{"profile", map[string]string{"name": name}, name != ""},
	} {
		if !m.send {
			continue
		}
		b, err := json.Marshal(m.body)
		if err != nil {
			return fmt.Errorf("publish %s: %w", m.topic, err)
		}
		if err := await(ctx, client.Publish(c.topic(m.topic), 1, true, b)); err != nil {
			return fmt.Errorf("publish %s: %w", m.topic, err)
		}
	}
	return nil
}

// statusMessage is retained under thermostat/<serial>/status.
type statusMessage struct {
	Version string `json:"version"`
	State   string `json:"state"` // ok, updating or failed
	Name    string `json:"name,omitempty"`
	Update  string `json:"update,omitempty"` // how the last one ended
}

// clear overwrites what is retained with nothing (MQTT 3.1.1 section 3.3.1.3).
func (c *cloud) clear(ctx context.Context, client paho.Client) error {
	for _, name := range []string{"status", "profile"} {
		if err := await(ctx, client.Publish(c.topic(name), 1, true, []byte{})); err != nil {
			return fmt.Errorf("clear retained %s: %w", name, err)
		}
	}
	return c.life.boot.change(func(s *bootState) { s.Forget = false })
}

var (
	errNoAnswer  = errors.New("no answer from the cloud")
	errResetting = errors.New("a factory reset is under way")
)

// await waits for a token, the context or the deadline, whichever comes first.
func await(ctx context.Context, t paho.Token) error {
	timer := time.NewTimer(cloudTimeout)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-timer.C:
		return errNoAnswer
	case <-ctx.Done():
		return ctx.Err()
	}
}
