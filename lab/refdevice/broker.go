package refdevice

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"assay/lab/mqttdoor"
)

// Topics of the local broker.
const (
	topicName = "home/name"
	topicNote = "home/note"
)

// startBroker opens the local MQTT broker over TLS.
func (l *life) startBroker(ctx context.Context) (func(time.Duration), error) {
	in, err := l.listen(ctx, l.config.Ports.MQTT)
	if err != nil {
		return nil, fmt.Errorf("open the local broker: %w", err)
	}
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClients = maxConnections
	caps.MaximumPacketSize = maxBody
	caps.MaximumInflight = 64
	caps.ReceiveMaximum = 64
	caps.MaximumClientWritesPending = 64
	caps.MaximumSessionExpiryInterval = 0
	server := mqtt.New(&mqtt.Options{
		Capabilities: caps,
		InlineClient: true,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)), // its own words quote what clients send
	})
	door := mqttdoor.New("tls", tls.NewListener(in, l.id.serverTLS(l.clock)))
	err = errors.Join(server.AddHook(&brokerHook{life: l}, nil), server.AddListener(door), l.fillBroker(server))
	if err == nil {
		err = server.Serve()
	}
	if err != nil {
		in.cut()
		return nil, errors.Join(fmt.Errorf("open the local broker: %w", err), server.Close())
	}
	return func(time.Duration) {
		in.cut() // first, or the broker waits for clients that never sent a CONNECT
		door.Wait()
		_ = server.Close()
	}, nil
}

// fillBroker publishes what the flash keeps.
func (l *life) fillBroker(server *mqtt.Server) error {
	for topic, text := range map[string]string{topicName: l.store.profile().Name, topicNote: l.store.text(keyNote)} {
		if text == "" {
			continue
		}
		if err := server.Publish(topic, []byte(text), true, 0); err != nil {
			return fmt.Errorf("publish %s: %w", topic, err)
		}
	}
	return nil
}

// brokerHook decides who may do what at the local broker.
type brokerHook struct {
	mqtt.HookBase
	life *life
}

// ID names the hook.
func (h *brokerHook) ID() string { return "thermostat" }

// Provides lists what the hook decides.
func (h *brokerHook) Provides(b byte) bool {
	return bytes.IndexByte([]byte{mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish}, b) >= 0
}

// OnConnect refuses everybody while the login is locked. MQTT 3.1.1 has no word for
// "too often"; return code 3, server unavailable, comes nearest (section 3.2.2.3).
func (h *brokerHook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	if h.life.mqttLock.remaining() == 0 {
		return nil
	}
	reason := packets.Err3ServerUnavailable
	if cl.Properties.ProtocolVersion >= 5 {
		reason = packets.ErrServerBusy
	}
	_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ReasonCode: reason.Code})
	return reason
}

// OnConnectAuthenticate compares the login with the label.
func (h *brokerHook) OnConnectAuthenticate(_ *mqtt.Client, pk packets.Packet) bool {
	user, password := string(pk.Connect.Username), string(pk.Connect.Password)
	if h.life.flaws.has(OpenMQTT) && user == "" && password == "" {
		return true
	}
	if h.life.flaws.has(DefaultMQTTPassword) && user == "admin" && password == "admin" {
		return true
	}
	id := h.life.id
	right := id.MQTTPassword.matches(password) && equal(user, id.MQTTUser)
	h.life.mqttLock.record(right)
	return right
}

// OnACLCheck lets clients read everything and write the owner's topics.
func (h *brokerHook) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	return !write || topic == topicName || topic == topicNote
}

// OnPublish keeps in flash what the owner writes before it is acknowledged.
func (h *brokerHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	var err error
	switch pk.TopicName {
	case topicName:
		name := string(pk.Payload)
		err = h.life.changeProfile(profileChange{Name: &name})
	case topicNote:
		err = h.life.store.setText(keyNote, pk.Payload)
	}
	if err != nil {
		h.life.log.Warn("not stored", "topic", pk.TopicName, "error", err)
		return pk, packets.ErrRejectPacket
	}
	pk.FixedHeader.Retain = true
	return pk, nil
}
