package services

import (
	"context"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"assay/lab/mqttdoor"
)

// DesertedBy waits until one device is not connected, where others stay.
func (b *Broker) DesertedBy(ctx context.Context, client string) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		there := false
		for _, c := range mqttdoor.Clients(b.server, cloudDoor) {
			there = there || c.ID == client
		}
		if !there {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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
