package services

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"
)

// ntpEpoch is the number of seconds from 1900 to 1970 (RFC 5905, section 6).
const ntpEpoch = 2208988800

const (
	ntpHeader = 48 // RFC 5905, section 7.3: header without extension fields
	ntpClient = 3
	ntpServer = 4
)

// NTP is the bench's time server.
type NTP struct {
	*datagrams
	shift atomic.Int64 // nanoseconds
}

// StartNTP answers NTP clients (versions 1 to 4) with the bench's time. The sockets are closed by Close.
func StartNTP(now func() time.Time, conns ...net.PacketConn) *NTP {
	n := &NTP{}
	told := func() time.Time { return now().Add(time.Duration(n.shift.Load())) }
	n.datagrams = serveDatagrams(func(from net.Addr, in []byte) (net.Addr, []byte) {
		return from, answerNTP(in, told)
	}, conns...)
	return n
}

// Shift makes it tell a time that is later than the bench's by so much, or earlier where negative.
func (n *NTP) Shift(by time.Duration) { n.shift.Store(int64(by)) }

// Counts tells what it met.
func (n *NTP) Counts() Counts { return n.counts() }

// Close ends the service.
func (n *NTP) Close() error { return n.close() }

// answerNTP is a stratum 1 server's reply (RFC 5905, section 7.3) with an uncalibrated local clock
// as its reference; nil for everything but a client's request.
func answerNTP(in []byte, now func() time.Time) []byte {
	if len(in) < ntpHeader {
		return nil
	}
	version, mode := in[0]>>3&7, in[0]&7
	if version < 1 || version > 4 || mode != ntpClient {
		return nil
	}
	at := ntpTime(now())
	out := make([]byte, ntpHeader)
	out[0] = version<<3 | ntpServer // leap indicator 0: no warning
	out[1] = 1                      // stratum
	out[2] = in[2]                  // poll interval, as asked
	out[3] = 0xEC                   // precision 2^-20 s
	binary.BigEndian.PutUint32(out[8:], 1<<8)
	copy(out[12:16], "LOCL")
	binary.BigEndian.PutUint64(out[16:], at) // reference
	copy(out[24:32], in[40:48])              // origin: the client's transmit time, its proof against blind forgery
	binary.BigEndian.PutUint64(out[32:], at) // receive
	binary.BigEndian.PutUint64(out[40:], ntpTime(now()))
	return out
}

// ntpTime is the 64-bit timestamp: seconds since 1900, and a binary fraction.
func ntpTime(t time.Time) uint64 {
	seconds := uint64(t.Unix()+ntpEpoch) & 0xFFFFFFFF
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
