package services

import (
	"bytes"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"assay/lab/mqttdoor"
	"assay/probes"
)

// The broker's bounds: what one hostile device can make the bench keep.
const (
	maxMQTTConns     = 64
	maxMQTTSessions  = 128
	maxMQTTPacket    = 128 << 10
	maxMQTTInflight  = 32
	maxMQTTPending   = 256
	maxSubscriptions = 256
	maxRetained      = 1024
	maxRetainedBytes = 16 << 20
	maxPublished     = 16384
	maxPublishedSize = 32 << 20
)

// BrokerOptions says where the device's cloud listens. Plain is the bench's own door: it never
// leaves loopback and asks for Username and Password. Without a Certificate the connections that TLS yields
// are decrypted already.
type BrokerOptions struct {
	TLS         net.Listener
	Certificate *tls.Certificate
	Plain       net.Listener
	Username    string
	Password    string
	Now         func() time.Time
	Log         func(string)
}

// Broker stands in for the device's cloud. It implements probes.Broker.
type Broker struct {
	o      BrokerOptions
	server *mqtt.Server
	doors  []*bounded
	ways   []*mqttdoor.Door // through the doors into the broker

	mu            sync.Mutex // guards the rest
	published     []probes.Message
	publishedSize int
	forgotten     time.Time // the newest message that the record had no room for any more
	retained      map[string]kept
	retainedSize  int
	refused       uint64
	greeted       map[string]bool
}

// kept is what the broker notes of a retained message; the library knows its time to the second only.
type kept struct {
	size int
	at   time.Time
}

// StartBroker takes clients on the listeners until Close, which closes them too. Who comes by
// the TLS door is let in with any name: the bench does not know the product's cloud passwords.
func StartBroker(o BrokerOptions) (*Broker, error) {
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumClients = maxMQTTConns
	capabilities.MaximumClientWritesPending = maxMQTTPending
	capabilities.MaximumPacketSize = maxMQTTPacket
	capabilities.MaximumInflight = maxMQTTInflight
	capabilities.ReceiveMaximum = maxMQTTInflight
	capabilities.TopicAliasMaximum = 64
	b := &Broker{o: o, retained: map[string]kept{}, greeted: map[string]bool{}}
	b.server = mqtt.New(&mqtt.Options{
		Capabilities: capabilities,
		// The library's log quotes whole packets, hence secrets.
		Logger:                 slog.New(slog.DiscardHandler),
		SysTopicResendInterval: 3600,
	})
	if err := b.server.AddHook(&brokerHook{b: b}, nil); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if o.TLS != nil {
		door := bound(o.TLS, maxMQTTConns)
		b.doors = append(b.doors, door)
		if err := b.open(cloudDoor, terminate(door, o.Certificate)); err != nil {
			return nil, err
		}
	}
	if o.Plain != nil {
		door := bound(o.Plain, maxMQTTConns)
		b.doors = append(b.doors, door)
		if err := b.open(plainDoor, door); err != nil {
			return nil, err
		}
	}
	if err := b.server.Serve(); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	return b, nil
}

func (b *Broker) open(id string, in net.Listener) error {
	door := mqttdoor.New(id, in)
	if err := b.server.AddListener(door); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	b.ways = append(b.ways, door)
	return nil
}

// The listeners: one for devices, one for the bench itself.
const (
	cloudDoor = "cloud"
	plainDoor = "bench"
)

// Close hangs up on everybody and ends the service.
func (b *Broker) Close() error {
	var errs []error
	for _, d := range b.doors {
		// First of all: a client that does not read must not hold up the library's farewell.
		if err := d.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, w := range b.ways {
		w.Wait()
	}
	errs = append(errs, b.server.Close())
	return errors.Join(errs...)
}

// Retained lists the messages kept for later subscribers, by topic.
func (b *Broker) Retained(ctx context.Context) ([]probes.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []probes.Message
	for topic, pk := range b.server.Topics.Retained.GetAll() {
		if !strings.HasPrefix(topic, mqtt.SysPrefix) {
			out = append(out, probes.Message{
				At: b.retained[topic].at, Client: pk.Origin, Topic: topic, Payload: bytes.Clone(pk.Payload), Retain: true,
			})
		}
	}
	slices.SortFunc(out, func(a, c probes.Message) int { return strings.Compare(a.Topic, c.Topic) })
	return out, nil
}

// Published lists what clients published since a moment. Where the record has already forgotten
// something of that time it is an error: nothing may be concluded from half a record.
func (b *Broker) Published(ctx context.Context, since time.Time) ([]probes.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.forgotten.IsZero() && !b.forgotten.Before(since) {
		return nil, fmt.Errorf("list published messages: more than %d of them since then: %w", maxPublished, probes.ErrBench)
	}
	from, _ := slices.BinarySearchFunc(b.published, since, func(m probes.Message, t time.Time) int { return m.At.Compare(t) })
	out := make([]probes.Message, 0, len(b.published)-from)
	for _, m := range b.published[from:] {
		m.Payload = bytes.Clone(m.Payload)
		out = append(out, m)
	}
	return out, nil
}

// Clear forgets every retained message: the cloud as it was before the device first called.
func (b *Broker) Clear() {
	for topic := range b.server.Topics.Retained.GetAll() {
		if strings.HasPrefix(topic, mqtt.SysPrefix) {
			continue
		}
		b.server.Topics.RetainMessage(packets.Packet{TopicName: topic})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.retained)
	b.retainedSize = 0
}

// ClearOf forgets every retained message that one device published.
func (b *Broker) ClearOf(client string) {
	for topic, pk := range b.server.Topics.Retained.GetAll() {
		if pk.Origin != client || strings.HasPrefix(topic, mqtt.SysPrefix) {
			continue
		}
		b.server.Topics.RetainMessage(packets.Packet{TopicName: topic})
		b.mu.Lock()
		b.retainedSize -= b.retained[topic].size
		delete(b.retained, topic)
		b.mu.Unlock()
	}
}

// Deserted waits until no device is connected.
func (b *Broker) Deserted(ctx context.Context) error {
	return b.deserted(ctx, func(*mqtt.Client) bool { return true })
}

// DesertedBy waits until one device is not connected, where others stay.
func (b *Broker) DesertedBy(ctx context.Context, client string) error {
	return b.deserted(ctx, func(c *mqtt.Client) bool { return c.ID == client })
}

func (b *Broker) deserted(ctx context.Context, by func(*mqtt.Client) bool) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if !slices.ContainsFunc(mqttdoor.Clients(b.server, cloudDoor), by) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Refused tells how many connections, subscriptions and messages were turned away because of the bounds.
func (b *Broker) Refused() uint64 {
	n := uint64(0)
	for _, d := range b.doors {
		d.mu.Lock()
		n += d.refused
		d.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return n + b.refused
}

func (b *Broker) record(client, topic string, payload []byte, retain bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := probes.Message{At: b.o.Now(), Client: client, Topic: topic, Payload: bytes.Clone(payload), Retain: retain}
	b.published = append(b.published, m)
	b.publishedSize += len(topic) + len(payload)
	for len(b.published) > maxPublished || b.publishedSize > maxPublishedSize {
		old := b.published[0]
		b.forgotten = old.At
		b.publishedSize -= len(old.Topic) + len(old.Payload)
		b.published = b.published[1:]
	}
}

// keep tells whether there is room for a retained message, and takes it.
func (b *Broker) keep(topic string, payload []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, had := b.retained[topic]
	if len(payload) == 0 {
		delete(b.retained, topic)
		b.retainedSize -= old.size
		return true
	}
	grown := b.retainedSize - old.size + len(topic) + len(payload)
	if (!had && len(b.retained) >= maxRetained) || grown > maxRetainedBytes {
		b.refused++
		return false
	}
	b.retained[topic] = kept{size: len(topic) + len(payload), at: b.o.Now()}
	b.retainedSize = grown
	return true
}

func (b *Broker) refuse() { b.mu.Lock(); b.refused++; b.mu.Unlock() }

func (b *Broker) greet(client string) {
	b.mu.Lock()
	first := !b.greeted[client] && len(b.greeted) < maxMQTTSessions
	if first {
		b.greeted[client] = true
	}
	b.mu.Unlock()
	if first && b.o.Log != nil {
		b.o.Log(fmt.Sprintf("broker: %.64q is connected", client))
	}
}

// brokerHook is how the library tells the broker what happens.
type brokerHook struct {
	mqtt.HookBase
	b *Broker
}

// ID names the hook.
func (h *brokerHook) ID() string { return "bench" }

// Provides lists the events that are asked for.
func (h *brokerHook) Provides(event byte) bool {
	return bytes.IndexByte([]byte{
		mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSessionEstablished,
		mqtt.OnPublish, mqtt.OnWill, mqtt.OnWillSent,
	}, event) >= 0
}

// OnConnect keeps the number of remembered sessions bounded: sessions outlive their connections.
func (h *brokerHook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	if _, known := h.b.server.Clients.Get(cl.ID); !known && h.b.server.Clients.Len() >= maxMQTTSessions {
		h.b.refuse()
		return packets.ErrServerBusy
	}
	return nil
}

// OnConnectAuthenticate asks for the password at the bench's own door only.
func (h *brokerHook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	if cl.Net.Listener != plainDoor {
		return true
	}
	name := subtle.ConstantTimeCompare(pk.Connect.Username, []byte(h.b.o.Username))
	word := subtle.ConstantTimeCompare(pk.Connect.Password, []byte(h.b.o.Password))
	return name&word == 1
}

// OnACLCheck keeps the broker's own topics its own, and the number of subscriptions bounded.
func (h *brokerHook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if write {
		return !strings.HasPrefix(topic, mqtt.SysPrefix)
	}
	if cl.State.Subscriptions.Len() >= maxSubscriptions {
		h.b.refuse()
		return false
	}
	return true
}

// OnSessionEstablished tells the story.
func (h *brokerHook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if cl.Net.Listener != plainDoor {
		h.b.greet(cl.ID)
	}
}

// OnPublish refuses retained messages beyond the bounds, and writes every other message down before it
// is acknowledged: what a client knows to be published is in the record.
func (h *brokerHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Retain && !h.b.keep(pk.TopicName, pk.Payload) {
		return pk, packets.ErrRejectPacket
	}
	h.b.record(cl.ID, pk.TopicName, pk.Payload, pk.FixedHeader.Retain)
	return pk, nil
}

// OnWill holds a last will to the same bounds as a message.
func (h *brokerHook) OnWill(_ *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	if will.Retain && (strings.HasPrefix(will.TopicName, mqtt.SysPrefix) || !h.b.keep(will.TopicName, will.Payload)) {
		will.Retain = false
	}
	return will, nil
}

// OnWillSent writes a last will down.
func (h *brokerHook) OnWillSent(cl *mqtt.Client, pk packets.Packet) {
	h.b.record(cl.ID, pk.TopicName, pk.Payload, pk.FixedHeader.Retain)
}
