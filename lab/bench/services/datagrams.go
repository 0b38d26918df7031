package services

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// maxDatagram is the longest datagram that is read; the rest of a longer one is cut off and the
// parser then refuses it. No protocol here needs more than an Ethernet frame's worth.
const maxDatagram = 4096

// Counts tells what a datagram service met.
type Counts struct {
	Received uint64 `json:"received"`
	Answered uint64 `json:"answered"`
	Dropped  uint64 `json:"dropped"` // malformed, or nothing this service answers
}

// An answer turns one datagram into a reply and its destination; an empty reply is a dropped datagram.
type answer func(from net.Addr, datagram []byte) (to net.Addr, reply []byte)

// datagrams answers one datagram after the other on its sockets: a flood costs the flooder's
// answers, never memory.
type datagrams struct {
	conns                       []net.PacketConn
	received, answered, dropped atomic.Uint64
	done                        sync.WaitGroup
}

func serveDatagrams(a answer, conns ...net.PacketConn) *datagrams {
	d := &datagrams{conns: conns}
	for _, conn := range conns {
		d.done.Go(func() { d.loop(conn, a) })
	}
	return d
}

func (d *datagrams) loop(conn net.PacketConn, a answer) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// ENETDOWN and ICMP errors pass by when a link is cut; only a closed socket ends the service.
			continue
		}
		d.received.Add(1)
		to, reply := a(from, buf[:n])
		if len(reply) == 0 {
			d.dropped.Add(1)
			continue
		}
		if write(conn, reply, to) == nil {
			d.answered.Add(1)
		}
	}
}

// write knows that an ordinary socket takes ordinary addresses only.
func write(conn net.PacketConn, reply []byte, to net.Addr) error {
	if leaving, ok := to.(departure); ok {
		if _, can := conn.(aware); !can {
			to = leaving.UDPAddr
		}
	}
	_, err := conn.WriteTo(reply, to)
	return err
}

func (d *datagrams) counts() Counts {
	return Counts{Received: d.received.Load(), Answered: d.answered.Load(), Dropped: d.dropped.Load()}
}

func (d *datagrams) close() error {
	var errs []error
	for _, conn := range d.conns {
		errs = append(errs, conn.Close())
	}
	d.done.Wait()
	return errors.Join(errs...)
}
