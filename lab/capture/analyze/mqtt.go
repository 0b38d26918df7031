package analyze

import (
	"encoding/binary"
	"strconv"

	"assay/lab/capture/wire"
)

// maxWaiting bounds the subscriptions of one session that nobody answered.
const maxWaiting = 16

// mqttLook is how much of a packet must be there to read it; a payload may be any length and is stepped over.
const mqttLook = 8 << 10

// A mqttTalk reads one MQTT connection (3.1, 3.1.1, 5.0).
type mqttTalk struct {
	session     *MQTTSession
	version     byte
	topics      map[topicKey]int
	filters     map[string]int
	waiting     map[uint16][]int // subscriptions by packet identifier
	aliases     [2]map[uint16]string
	interrupted [2]bool // bytes are missing: a packet has to look like one to be read
}

type topicKey struct {
	topic string
	dir   int
}

func newMQTTTalk() *mqttTalk { return &mqttTalk{version: 4} }

func (t *mqttTalk) lost(dir int) { t.interrupted[dir] = true }

func (t *mqttTalk) end(*analyzer, *flow) {}

func (t *mqttTalk) take(a *analyzer, f *flow, dir int, b []byte) int {
	if t.interrupted[dir] {
		if !plausibleMQTT(b[0]) {
			return len(b)
		}
		t.interrupted[dir] = false
	}
	head, body, ok := wire.MQTTPacket(b)
	if !ok || !plausibleMQTT(b[0]) {
		f.gaps = true
		return done
	}
	if body == wire.MQTTMore || len(b) < min(head+body, mqttLook) {
		return 0
	}
	t.open(a, f)
	t.packet(a, f, dir, b[0], b[head:min(len(b), head+body)], body)
	f.half[dir].skip = int64(head + body)
	return 0
}

func (t *mqttTalk) open(a *analyzer, f *flow) {
	if t.session != nil {
		return
	}
	t.session = &MQTTSession{
		Client: f.ends[0].String(), Server: f.ends[1].String(), Frame: a.frame.Number, Code: -1, Packets: map[string]Count{},
		Published: []Topic{}, Subscribed: []Subscription{},
	}
	a.mqtt.add(a, "MQTT sessions", t.session)
	*a.total("mqtt sessions")++
}

// packet reads one control packet; size is the whole body's, b may be only its beginning.
func (t *mqttTalk) packet(a *analyzer, f *flow, dir int, first byte, b []byte, size int) {
	name := wire.MQTTName(first)
	t.session.Packets[name]++
	*a.total(mqttTotals[first>>4])++
	switch first >> 4 {
	case 1:
		t.connect(a, f, b)
	case 2:
		if len(b) >= 2 {
			t.session.Code = int(b[1])
		}
	case 3:
		t.publish(a, dir, first, b, size)
	case 8:
		t.subscribe(a, b)
	case 9:
		t.granted(b)
	}
}

var mqttTotals = func() (names [16]string) {
	for i := range names {
		names[i] = "mqtt " + wire.MQTTName(byte(i<<4))
	}
	return names
}()

func (t *mqttTalk) connect(a *analyzer, f *flow, b []byte) {
	c, _ := wire.ParseMQTTConnect(b)
	t.version = c.Version
	s := t.session
	s.Version = map[byte]string{3: "3.1", 4: "3.1.1", 5: "5.0"}[c.Version]
	if s.Version == "" {
		s.Version = strconv.Itoa(int(c.Version))
	}
	s.ClientID, s.Clean, s.KeepAlive = clean(c.ClientID), c.Clean, int(c.KeepAlive)
	s.User, s.Password = clean(c.User), c.HasPassword
	if c.Will {
		s.Will = &Will{Topic: clean(c.WillTopic), QoS: int(c.WillQoS), Retain: c.WillRetain, Bytes: len(c.WillMessage)}
	}
	if c.HasPassword {
		a.secret("MQTT", f, string(c.User), string(c.Password), "client id "+clean(c.ClientID))
	}
}

func (t *mqttTalk) publish(a *analyzer, dir int, first byte, b []byte, size int) {
	p, ok := wire.ParseMQTTPublish(first, b, t.version)
	if !ok {
		return
	}
	topic := p.Topic
	if p.Alias != 0 {
		topic = t.alias(a, dir, p.Alias, topic)
	}
	at, known := t.topics[topicKey{string(topic), dir}]
	if !known {
		if len(t.topics) >= maxTopics || a.kept(len(topic)) {
			t.session.MoreTopics++
			a.overflowed["MQTT topics"]++
			return
		}
		if t.topics == nil {
			t.topics = map[topicKey]int{}
		}
		at = len(t.session.Published)
		t.topics[topicKey{string(topic), dir}] = at
		t.session.Published = append(t.session.Published, Topic{Topic: clean(topic), From: side(dir), Frame: a.frame.Number})
	}
	entry := &t.session.Published[at]
	entry.Messages++
	entry.Bytes += Count(max(0, size-p.Overhead))
	entry.QoS = max(entry.QoS, int(p.QoS))
	if p.Retain {
		entry.Retained++
	}
}

// alias follows the topic aliases of MQTT 5 (section 3.3.2.3.4), which each side counts for itself.
func (t *mqttTalk) alias(a *analyzer, dir int, alias uint16, topic []byte) []byte {
	if len(topic) == 0 {
		return []byte(t.aliases[dir][alias])
	}
	if t.aliases[dir] == nil {
		t.aliases[dir] = map[uint16]string{}
	}
	if len(t.aliases[dir]) < maxTopics && t.aliases[dir][alias] != string(topic) && !a.kept(len(topic)) {
		t.aliases[dir][alias] = string(topic)
	}
	return topic
}

func (t *mqttTalk) subscribe(a *analyzer, b []byte) {
	if len(b) < 2 {
		return
	}
	id, b := binary.BigEndian.Uint16(b), b[2:]
	if t.version == 5 {
		var ok bool
		if _, b, ok = wire.MQTTProperties(b); !ok {
			return
		}
	}
	delete(t.waiting, id)
	for {
		filter, rest, ok := wire.Field16(b)
		if !ok || len(rest) == 0 {
			return
		}
		b = rest[1:]
		if t.filters == nil {
			t.filters, t.waiting = map[string]int{}, map[uint16][]int{}
		}
		at, known := t.filters[string(filter)]
		if !known {
			if len(t.filters) >= maxTopics || a.kept(len(filter)) {
				t.session.MoreTopics++
				a.overflowed["MQTT subscriptions"]++
				continue
			}
			at = len(t.session.Subscribed)
			t.filters[string(filter)] = at
			t.session.Subscribed = append(t.session.Subscribed, Subscription{Filter: clean(filter), Granted: -1, Frame: a.frame.Number})
		}
		t.session.Subscribed[at].QoS = int(rest[0] & 3)
		if len(t.waiting) < maxWaiting && len(t.waiting[id]) < maxTopics {
			t.waiting[id] = append(t.waiting[id], at)
		}
	}
}

func (t *mqttTalk) granted(b []byte) {
	if len(b) < 2 {
		return
	}
	id, b := binary.BigEndian.Uint16(b), b[2:]
	if t.version == 5 {
		var ok bool
		if _, b, ok = wire.MQTTProperties(b); !ok {
			return
		}
	}
	for i, at := range t.waiting[id] {
		if i < len(b) {
			t.session.Subscribed[at].Granted = int(b[i])
		}
	}
	delete(t.waiting, id)
}
