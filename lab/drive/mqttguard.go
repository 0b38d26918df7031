package drive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// maxPacket is the longest MQTT packet taken from a device; the protocol would allow 256 MiB.
const maxPacket = maxText

// errGarbage is a stream that does not follow MQTT in the version that was asked for.
var errGarbage = errors.New("not MQTT")

// noConnack is the code while no CONNACK has come.
const noConnack = -1

// An mqttGuard stands between a device's bytes and the MQTT client. The client trusts its
// broker: a CONNACK with an unassigned code counts as success to it, a SUBACK with more codes
// than filters ends the process, and a length of 256 MiB is allocated before the first byte of
// it has come. The guard hands over whole, bounded, well-formed packets only, and remembers how
// the conversation went.
type mqttGuard struct {
	net.Conn
	ready []byte // checked bytes that the client has not read yet

	mu      sync.Mutex
	connack int   // code of the CONNACK
	suback  int   // code of the SUBACK
	puback  bool  // a PUBACK has come, or a PUBCOMP
	fault   error // what ended the stream
	ended   chan struct{}
	pong    chan struct{} // closed by the first PINGRESP
	ponged  bool
}

func newMQTTGuard(c net.Conn) *mqttGuard {
	return &mqttGuard{Conn: c, connack: noConnack, suback: noConnack, ended: make(chan struct{}), pong: make(chan struct{})}
}

// Read returns bytes of packets that have passed the checks. Only the client's one reading
// goroutine calls it.
func (g *mqttGuard) Read(p []byte) (int, error) {
	if len(g.ready) == 0 {
		packet, err := g.next()
		if err != nil {
			g.end(err)
			return 0, err
		}
		g.ready = packet
	}
	n := copy(p, g.ready)
	g.ready = g.ready[n:]
	return n, nil
}

// Deadlines are the step's. The client would lift them once it is connected.
func (g *mqttGuard) SetDeadline(time.Time) error      { return nil }
func (g *mqttGuard) SetReadDeadline(time.Time) error  { return nil }
func (g *mqttGuard) SetWriteDeadline(time.Time) error { return nil }

func (g *mqttGuard) next() ([]byte, error) {
	connack, _, _ := g.state()
	packet, err := readPacket(g.Conn, connack == noConnack)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return packet, g.checkLocked(packet)
}

// checkLocked follows the order of packets that a broker may send to this client, which sends at
// most one SUBSCRIBE with one filter.
func (g *mqttGuard) checkLocked(packet []byte) error {
	parsed, err := parsePacket(packet)
	if err != nil {
		return err
	}
	switch p := parsed.(type) {
	case *packets.ConnackPacket:
		g.connack = int(p.ReturnCode)
		if p.ReturnCode != packets.Accepted {
			// The client takes codes it does not know for a yes. Seen and noted: that is all it is for.
			return errNotAccepted
		}
	case *packets.PubackPacket, *packets.PubcompPacket:
		g.puback = true
	case *packets.PingrespPacket:
		if !g.ponged {
			g.ponged = true
			close(g.pong)
		}
	case *packets.SubackPacket:
		if len(p.ReturnCodes) != 1 || g.suback != noConnack {
			return fmt.Errorf("%w: a SUBACK that nobody asked for", errGarbage)
		}
		g.suback = int(p.ReturnCodes[0])
	case *packets.PublishPacket:
		if p.Qos > 2 || p.TopicName == "" {
			return fmt.Errorf("%w: a PUBLISH without topic or with QoS 3", errGarbage)
		}
	}
	return nil
}

// errNotAccepted ends a conversation after a CONNACK that said no.
var errNotAccepted = errors.New("the CONNACK said no")

// acknowledged tells whether a PUBACK has come.
func (g *mqttGuard) acknowledged() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.puback
}

// state is what has been seen so far.
func (g *mqttGuard) state() (connack, suback int, fault error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.connack, g.suback, g.fault
}

// end keeps the first reason why the stream is over, and closes the connection.
func (g *mqttGuard) end(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault == nil {
		g.fault = err
		close(g.ended)
		g.Conn.Close()
	}
}

// readPacket reads one whole packet: fixed header, remaining length of one to four bytes
// (MQTT 3.1.1, 2.2.3), and that many bytes. The first packet, and no other, is a CONNACK. A
// header that no broker sends ends it before its body has come.
func readPacket(r io.Reader, first bool) ([]byte, error) { return readFrame(r, first, fromBroker) }

// readFrame is readPacket for one version's kinds of packets.
func readFrame(r io.Reader, first bool, sent func(kind byte) bool) ([]byte, error) {
	head := make([]byte, 2, 5)
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return nil, err
	}
	if kind := head[0] >> 4; !sent(kind) || first != (kind == packets.Connack) {
		return nil, fmt.Errorf("%w: packet type %d out of its place", errGarbage, kind)
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return nil, middle(err)
	}
	length, shift := int(head[1]&0x7f), 7
	for head[len(head)-1]&0x80 != 0 {
		if len(head) == 5 {
			return nil, fmt.Errorf("%w: a length of more than four bytes", errGarbage)
		}
		head = append(head, 0)
		if _, err := io.ReadFull(r, head[len(head)-1:]); err != nil {
			return nil, middle(err)
		}
		length |= int(head[len(head)-1]&0x7f) << shift
		shift += 7
	}
	if length > maxPacket {
		return nil, fmt.Errorf("%w: a packet of %d bytes", errGarbage, length)
	}
	packet := bytes.NewBuffer(head)
	if _, err := io.CopyN(packet, r, int64(length)); err != nil {
		return nil, middle(err)
	}
	return packet.Bytes(), nil
}

func fromBroker(kind byte) bool {
	switch kind {
	case packets.Connack, packets.Publish, packets.Puback, packets.Pubrec, packets.Pubrel,
		packets.Pubcomp, packets.Suback, packets.Unsuback, packets.Pingresp:
		return true
	}
	return false
}

// middle marks an end of the stream within a packet.
func middle(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parsePacket parses a packet as the client will, and checks what its parser lets pass.
func parsePacket(packet []byte) (packets.ControlPacket, error) {
	parsed, err := packets.ReadPacket(bytes.NewReader(packet))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, noEOF(err))
	}
	body := len(packet) - 2
	for i := 1; i < len(packet) && packet[i]&0x80 != 0; i++ {
		body--
	}
	least := 2
	switch p := parsed.(type) {
	case *packets.PingrespPacket:
		least = 0
	case *packets.PublishPacket:
		least += len(p.TopicName)
		if p.Qos > 0 {
			least += 2
		}
	}
	if body < least {
		return nil, fmt.Errorf("%w: %s of %d bytes", errGarbage, packets.PacketNames[packet[0]>>4], body)
	}
	return parsed, nil
}

// noEOF keeps the end of a packet from looking like the end of the stream.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("shorter than its fields")
	}
	return err
}
