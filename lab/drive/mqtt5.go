package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	five "github.com/eclipse/paho.golang/packets"
)

// version5 is how recipes ask for MQTT 5.
const version5 = "5"

// Packet identifiers: each conversation has at most one SUBSCRIBE and one PUBLISH.
const (
	subscribeID = 1
	publishID   = 2
)

// A talk5 is the MQTT 5 side of a conversation. It asks and reads in turn, on the packets of the
// library alone: its client would trust the broker with buffers, answers and reconnections.
type talk5 struct {
	*talk
	conn net.Conn

	connack, suback, puback, disconnect int // reason codes; noConnack while there was none
	reason                              string
	done                                bool // what was published is acknowledged
	ponged                              bool // a PINGRESP has come
}

// converse5 runs the conversation. What it returns ended it before there was a reply.
func (t *talk) converse5(ctx context.Context, r *run) error {
	conn, err := t.open(ctx, r)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	v := &talk5{talk: t, conn: conn, connack: noConnack, suback: noConnack, puback: noConnack, disconnect: noConnack}
	t.five, t.news = v, make(chan struct{}, 1)
	err = v.ask5(ctx)
	switch {
	case v.disconnect != noConnack, errors.Is(err, errNotAccepted):
		return nil // it said why
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	}
	if !t.ask.hangUp {
		_ = v.send(&five.Disconnect{Properties: &five.Properties{}}, five.DISCONNECT, 0)
	}
	return nil
}

// ask5 connects, subscribes, publishes and collects messages.
func (v *talk5) ask5(ctx context.Context) error {
	if err := v.send(v.connect(), five.CONNECT, 0); err != nil {
		return err
	}
	if err := v.until(func() bool { return v.connack != noConnack }); err != nil {
		return err
	}
	if v.ask.subscribe != "" {
		err := v.send(&five.Subscribe{
			PacketID: subscribeID, Properties: &five.Properties{},
			Subscriptions: []five.SubOptions{{Topic: v.ask.subscribe, QoS: v.ask.qos}},
		}, five.SUBSCRIBE, 2)
		if err == nil {
			err = v.until(func() bool { return v.suback != noConnack })
		}
		if err != nil || v.suback >= codeFailure {
			return err
		}
	}
	if v.bare() {
		return v.stays5(ctx)
	}
	if v.ask.publish != "" {
		message := &five.Publish{
			Topic: v.ask.publish, Payload: []byte(v.ask.payload), QoS: v.ask.qos, Retain: v.ask.retain, Properties: &five.Properties{},
		}
		if v.ask.qos > 0 {
			message.PacketID = publishID
		}
		err := v.send(message, five.PUBLISH, 0)
		if err == nil && v.ask.qos > 0 {
			err = v.until(func() bool { return v.done })
		}
		if err != nil || v.puback >= codeFailure {
			return err
		}
	}
	return v.listen5(ctx)
}

func (v *talk5) connect() *five.Connect {
	most := uint32(maxPacket)
	c := &five.Connect{
		ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, ClientID: v.ask.client,
		UsernameFlag: v.ask.user != "", Username: v.ask.user, PasswordFlag: v.ask.pass != "", Password: []byte(v.ask.pass),
		Properties: &five.Properties{MaximumPacketSize: &most},
	}
	if w := v.ask.will; w != nil {
		c.WillFlag, c.WillTopic, c.WillMessage, c.WillQOS, c.WillRetain = true, w.topic, []byte(w.payload), w.qos, w.retain
		c.WillProperties = &five.Properties{}
	}
	return c
}

// stays5 asks whether the connection stands, as stays does.
func (v *talk5) stays5(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok {
		if err := v.conn.SetReadDeadline(deadline); err != nil {
			return err
		}
	}
	_, err := v.conn.Write(pingreq)
	if err == nil {
		err = v.until(func() bool { return v.ponged })
	}
	switch {
	case err == nil:
		return nil
	case v.disconnect != noConnack, hungUp(err):
		v.dropped = true
		return nil
	case late(ctx), timedOut(err):
		return nil
	}
	return err
}

// listen5 collects messages until the recipe's success holds or the time is over.
func (v *talk5) listen5(ctx context.Context) error {
	if v.ask.subscribe == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, v.step.listen())
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok {
		if err := v.conn.SetReadDeadline(deadline); err != nil {
			return err
		}
	}
	for v.step.success == nil || !holds(v.step.success, v.reply()) {
		err := v.read()
		switch {
		case err == nil:
		case v.disconnect != noConnack, hungUp(err):
			v.dropped = true
			return nil
		case ctx.Err() != nil || timedOut(err):
			return nil
		default:
			return err
		}
	}
	return nil
}

// until reads packets until what is awaited has come.
func (v *talk5) until(came func() bool) error {
	for !came() {
		if err := v.read(); err != nil {
			return err
		}
	}
	return nil
}

func (v *talk5) send(content five.Packet, kind, flags byte) error {
	var out bytes.Buffer
	p := &five.ControlPacket{Content: content, FixedHeader: five.FixedHeader{Type: kind, Flags: flags}}
	if _, err := p.WriteTo(&out); err != nil {
		return fmt.Errorf("write a packet: %w", err)
	}
	if _, err := v.conn.Write(out.Bytes()); err != nil {
		return err
	}
	return nil
}

// read takes one packet and answers it where the protocol wants an answer.
func (v *talk5) read() error {
	packet, err := readFrame(v.conn, v.connack == noConnack, fromBroker5)
	if err != nil {
		return err
	}
	parsed, err := parsePacket5(packet)
	if err != nil {
		return err
	}
	switch p := parsed.(type) {
	case *five.Connack:
		v.connack = int(p.ReasonCode)
		if v.said(p.Properties); p.ReasonCode != 0 {
			return errNotAccepted
		}
	case *five.Suback:
		if len(p.Reasons) != 1 || p.PacketID != subscribeID || v.ask.subscribe == "" || v.suback != noConnack {
			return fmt.Errorf("%w 5: a SUBACK that nobody asked for", errGarbage)
		}
		v.suback = int(p.Reasons[0])
		v.said(p.Properties)
	case *five.Puback:
		v.puback, v.done = int(p.ReasonCode), true
		v.said(p.Properties)
	case *five.Pubrec:
		v.puback = int(p.ReasonCode)
		if v.said(p.Properties); p.ReasonCode >= codeFailure {
			v.done = true
			return nil
		}
		return v.send(&five.Pubrel{PacketID: p.PacketID, Properties: &five.Properties{}}, five.PUBREL, 2)
	case *five.Pubcomp:
		v.done = true
	case *five.Publish:
		v.note(p.Topic, p.Payload, p.Retain)
		switch p.QoS {
		case 1:
			return v.send(&five.Puback{PacketID: p.PacketID, Properties: &five.Properties{}}, five.PUBACK, 0)
		case 2:
			return v.send(&five.Pubrec{PacketID: p.PacketID, Properties: &five.Properties{}}, five.PUBREC, 0)
		}
	case *five.Pubrel:
		return v.send(&five.Pubcomp{PacketID: p.PacketID, Properties: &five.Properties{}}, five.PUBCOMP, 0)
	case *five.Pingresp:
		v.ponged = true
	case *five.Disconnect:
		v.disconnect, v.dropped = int(p.ReasonCode), true
		v.said(p.Properties)
		return io.EOF
	}
	return nil
}

// said keeps the broker's own words for a reason.
func (v *talk5) said(p *five.Properties) {
	if p != nil && p.ReasonString != "" {
		v.reason = shorten(p.ReasonString, maxDetail)
	}
}

func fromBroker5(kind byte) bool { return fromBroker(kind) || kind == five.DISCONNECT }

// parsePacket5 parses a whole packet and checks what the library's parser lets pass.
func parsePacket5(packet []byte) (p five.Packet, err error) {
	defer func() {
		if v := recover(); v != nil { // on properties that are cut short, say
			p, err = nil, fmt.Errorf("%w 5: %v", errGarbage, v)
		}
	}()
	parsed, err := five.ReadPacket(bytes.NewReader(packet))
	if err != nil {
		return nil, fmt.Errorf("%w 5: %w", errGarbage, noEOF(err))
	}
	body := packet[1:]
	for len(body) > 0 && body[0]&0x80 != 0 {
		body = body[1:]
	}
	body = body[min(1, len(body)):]
	least := 2
	switch p := parsed.Content.(type) {
	case *five.Pingresp, *five.Disconnect:
		least = 0
	case *five.Connack, *five.Suback:
		least = 3
	case *five.Publish:
		// We announce no topic aliases, so that a topic must be there: MQTT 5.0, 3.3.2.1.
		if p.QoS > 2 || p.Topic == "" {
			return nil, fmt.Errorf("%w 5: a PUBLISH without topic or with QoS 3", errGarbage)
		}
	}
	if len(body) < least {
		return nil, fmt.Errorf("%w 5: %s of %d bytes", errGarbage, parsed.PacketType(), len(body))
	}
	return parsed.Content, nil
}
