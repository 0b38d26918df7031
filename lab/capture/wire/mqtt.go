package wire

import "encoding/binary"

// MQTTMore says of MQTTPacket's length that more bytes are needed to tell it.
const MQTTMore = -1

// MQTTPacket reads the head of a control packet (section 2.2 of MQTT 3.1.1 and 5): how long head and
// body are. ok is false where no length can begin so.
func MQTTPacket(b []byte) (head, body int, ok bool) {
	if len(b) == 0 {
		return 0, MQTTMore, true
	}
	length := 0
	for at := 1; at <= 4; at++ {
		if at >= len(b) {
			return 0, MQTTMore, true
		}
		length |= int(b[at]&0x7f) << (7 * (at - 1))
		if b[at]&0x80 == 0 {
			return at + 1, length, true
		}
	}
	return 0, 0, false
}

// MQTTName names a control packet by its first byte.
func MQTTName(first byte) string {
	names := [...]string{"", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp",
		"subscribe", "suback", "unsubscribe", "unsuback", "ping request", "ping response", "disconnect", "auth"}
	return names[first>>4]
}

// Field16 splits off a field whose length is in its first two bytes.
func Field16(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > len(b)-2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// IsMQTTConnect tells CONNECT from everything else: it is the one packet that names the protocol.
func IsMQTTConnect(first byte, body []byte) bool {
	name, _, ok := Field16(body)
	return first == 0x10 && ok && (string(name) == "MQTT" || string(name) == "MQIsdp")
}

// A MQTTConnect is what a client says first. Its fields alias the packet.
type MQTTConnect struct {
	Version                byte // 3: MQTT 3.1, 4: 3.1.1, 5: 5.0
	Clean                  bool // clean session, or clean start
	KeepAlive              uint16
	ClientID               []byte
	Will, WillRetain       bool
	WillQoS                byte
	WillTopic, WillMessage []byte
	HasUser, HasPassword   bool
	User, Password         []byte
}

// ParseMQTTConnect reads the body of CONNECT; ok is false where it breaks off, with what came before it set.
func ParseMQTTConnect(body []byte) (c MQTTConnect, ok bool) {
	_, b, ok := Field16(body)
	if !ok || len(b) < 4 {
		return c, false
	}
	flags := b[1]
	c.Version, c.Clean, c.KeepAlive = b[0], flags&2 != 0, binary.BigEndian.Uint16(b[2:])
	c.Will, c.WillQoS, c.WillRetain = flags&4 != 0, flags>>3&3, flags&32 != 0
	c.HasUser, c.HasPassword = flags&128 != 0, flags&64 != 0
	b = b[4:]
	if c.Version == 5 {
		if _, b, ok = MQTTProperties(b); !ok {
			return c, false
		}
	}
	if c.ClientID, b, ok = Field16(b); !ok {
		return c, false
	}
	if c.Will {
		if c.Version == 5 {
			if _, b, ok = MQTTProperties(b); !ok {
				return c, false
			}
		}
		if c.WillTopic, b, ok = Field16(b); !ok {
			return c, false
		}
		if c.WillMessage, b, ok = Field16(b); !ok {
			return c, false
		}
	}
	if c.HasUser {
		if c.User, b, ok = Field16(b); !ok {
			return c, false
		}
	}
	if c.HasPassword {
		if c.Password, _, ok = Field16(b); !ok {
			return c, false
		}
	}
	return c, true
}

// MQTTProperties splits the properties of MQTT 5 off (section 2.2.2).
func MQTTProperties(b []byte) (properties, rest []byte, ok bool) {
	n, size := 0, 0
	for i := range 4 {
		if i >= len(b) {
			return nil, nil, false
		}
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			size = i + 1
			break
		}
	}
	if size == 0 || n > len(b)-size {
		return nil, nil, false
	}
	return b[size : size+n], b[size+n:], true
}

// TopicAlias finds the topic alias among properties (section 3.3.2.3.4); 0 is none.
func TopicAlias(properties []byte) uint16 {
	for b := properties; len(b) > 0; {
		id := b[0]
		if b = b[1:]; id == 0x23 {
			if len(b) < 2 {
				return 0
			}
			return binary.BigEndian.Uint16(b)
		}
		n := propertyLength(id, b)
		if n < 0 || n > len(b) {
			return 0
		}
		b = b[n:]
	}
	return 0
}

// propertyLength tells how long a property's value is (table 2-4); -1 where that cannot be told.
func propertyLength(id byte, b []byte) int {
	switch id {
	case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a:
		return 1
	case 0x13, 0x21, 0x22:
		return 2
	case 0x02, 0x11, 0x18, 0x27:
		return 4
	case 0x0b:
		for i := range min(4, len(b)) {
			if b[i]&0x80 == 0 {
				return i + 1
			}
		}
	case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f:
		if len(b) >= 2 {
			return 2 + int(binary.BigEndian.Uint16(b))
		}
	case 0x26: // a pair
		if key, rest, ok := Field16(b); ok {
			if value, _, ok := Field16(rest); ok {
				return 4 + len(key) + len(value)
			}
		}
	}
	return -1
}

// A MQTTPublish is one message. Its topic aliases the packet; the payload is not in it, it may be long.
type MQTTPublish struct {
	Topic    []byte
	QoS      byte
	Retain   bool
	Dup      bool
	Alias    uint16
	Overhead int // bytes of the body before the payload
}

// ParseMQTTPublish reads the beginning of a PUBLISH body.
func ParseMQTTPublish(first byte, body []byte, version byte) (p MQTTPublish, ok bool) {
	p.QoS, p.Retain, p.Dup = first>>1&3, first&1 != 0, first&8 != 0
	topic, rest, ok := Field16(body)
	if !ok || p.QoS == 3 {
		return p, false
	}
	p.Topic = topic
	if p.QoS > 0 {
		if len(rest) < 2 {
			return p, false
		}
		rest = rest[2:]
	}
	if version == 5 {
		properties, after, ok := MQTTProperties(rest)
		if !ok {
			return p, false
		}
		p.Alias, rest = TopicAlias(properties), after
	}
	p.Overhead = len(body) - len(rest)
	return p, true
}
