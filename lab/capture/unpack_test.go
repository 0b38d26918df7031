package capture

import (
	"assay/lab/capture/wire"
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unpack yields what a device sent in these frames.
func unpack(t testing.TB, frames ...[]byte) (out [][]byte) {
	t.Helper()
	require.ErrorContains(t, sent([]volume{{path: file(t, frames...)}}, place{}, 1, 0, deviceMAC, func(b []byte) bool {
		out = append(out, bytes.Clone(b))
		return true
	}), "EOF")
	return out
}

func text(parts [][]byte) (out []string) {
	for _, p := range parts {
		out = append(out, string(p))
	}
	return out
}

func TestStreamAcrossSegments(t *testing.T) {
	seg := func(seq uint32, s string) []byte { return tcpFrame(t, 40000, 8883, seq, false, []byte(s)) }
	syn := tcpFrame(t, 40000, 8883, 99, true, nil)
	for name, c := range map[string]struct {
		frames [][]byte
		want   []string
	}{
		"in order":               {[][]byte{syn, seg(100, "the can"), seg(107, "ary is"), seg(113, " here")}, []string{"the canary is here"}},
		"out of order":           {[][]byte{syn, seg(107, "ary is"), seg(113, " here"), seg(100, "the can")}, []string{"the canary is here"}},
		"one byte each":          {[][]byte{seg(3, "c"), seg(2, "b"), seg(1, "a"), seg(4, "d")}, []string{"abcd"}},
		"sent again":             {[][]byte{seg(100, "the can"), seg(107, "ary"), seg(100, "the can"), seg(104, "canary!")}, []string{"the canary!"}},
		"sent again differently": {[][]byte{seg(100, "the can"), seg(100, "THE"), seg(107, "ary")}, []string{"THE", "the canary"}},
		"a gap":                  {[][]byte{seg(100, "left"), seg(110, "right")}, []string{"left", "right"}},
		"the numbers wrap":       {[][]byte{seg(0xfffffffe, "ab"), seg(0, "cd"), seg(0xfffffffc, "xy")}, []string{"xyabcd"}},
		"data with the SYN":      {[][]byte{tcpFrame(t, 40000, 8883, 99, true, []byte("fast ")), seg(105, "open")}, []string{"fast open"}},
		"the port used again":    {[][]byte{syn, seg(100, "first"), syn, seg(100, "other")}, []string{"first", "other"}},
		"two connections":        {[][]byte{seg(1, "a"), tcpFrame(t, 40001, 8883, 2, false, []byte("x")), seg(2, "b")}, []string{"ab", "x"}},
	} {
		assert.Equal(t, c.want, text(unpack(t, c.frames...)), name)
	}
}

func TestEverythingElse(t *testing.T) {
	tagged := bytes.Clone(udpFrame(t, 1, 2, []byte("in a VLAN")))
	tagged = append(tagged[:12], append([]byte{0x81, 0, 0, 5}, tagged[12:]...)...)
	leaky := udpFrame(t, 1, 2, []byte("short")) // 47 bytes, filled up to Ethernet's least, 60
	copy(leaky[47:], "kernel memory")
	padded := append(udpFrame(t, 1, 2, []byte("tiny")), make([]byte, 14)...)
	ping := build(t, ether(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}, gopacket.Payload("ping data"))
	broken := bytes.Clone(udpFrame(t, 1, 2, []byte("broken")))
	broken[14+2] = 0xff // total length beyond the frame
	hop := build(t, ether(layers.EthernetTypeIPv6), gopacket.Payload(
		append(append([]byte{0x60, 0, 0, 0, 0, 20, 0, 64}, make([]byte, 32)...),
			17, 0, 1, 4, 0, 0, 0, 0, 0, 1, 0, 2, 0, 12, 0, 0, 'h', 'o', 'p', 's')))
	for name, c := range map[string]struct {
		frame []byte
		want  []string
	}{
		"UDP":               {udpFrame(t, 1, 2, []byte("datagram")), []string{"datagram"}},
		"UDP over IPv6":     {udp6Frame(t, []byte("six")), []string{"six"}},
		"extension headers": {hop, []string{"hops"}},
		"a VLAN":            {tagged, []string{"in a VLAN"}},
		"ARP":               {arpFrame(t), []string{string(arpFrame(t))}},
		"ICMP":              {ping, []string{string(ping)}},
		"leaky padding":     {leaky, []string{"short", "kernel memory"}},
		"padding":           {padded, []string{"tiny"}},
		"a wrong length":    {broken, []string{string(broken)}},
		"a bare ACK":        {tcpFrame(t, 1, 2, 3, false, nil), nil},
	} {
		assert.Equal(t, c.want, text(unpack(t, c.frame)), name)
	}
	assert.Empty(t, unpack(t, append([]byte("\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x09"), "not ours"...)))
}

// fragments cuts an IPv4 datagram into pieces of size bytes.
func fragments(t testing.TB, id uint16, proto layers.IPProtocol, datagram []byte, size int) (out [][]byte) {
	t.Helper()
	for at := 0; at < len(datagram); at += size {
		ip := ipv4(proto)
		ip.Id, ip.FragOffset = id, uint16(at/8)
		end := min(at+size, len(datagram))
		if end < len(datagram) {
			ip.Flags = layers.IPv4MoreFragments
		}
		out = append(out, build(t, ether(layers.EthernetTypeIPv4), ip, gopacket.Payload(datagram[at:end])))
	}
	return out
}

func TestFragments(t *testing.T) {
	datagram := append([]byte{0, 1, 0, 2, 0, 38, 0, 0}, "a canary across the borders..."...)
	parts := fragments(t, 7, layers.IPProtocolUDP, datagram, 16)
	require.Len(t, parts, 3)
	for _, sequence := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 1, 2, 0}} {
		var frames [][]byte
		for _, i := range sequence {
			frames = append(frames, parts[i])
		}
		out := text(unpack(t, frames...))
		require.Len(t, out, len(frames)+1)
		assert.Equal(t, "a canary across the borders...", out[len(frames)])
	}
	assert.Len(t, unpack(t, parts[0], parts[2]), 2, "one missing: the frames as they are")

	var flood [][]byte
	for id := range uint16(200) {
		flood = append(flood, fragments(t, id, layers.IPProtocolUDP, datagram, 16)[0])
	}
	u := newUnpacker(func([]byte) bool { return true })
	for _, frame := range flood {
		u.frame(Frame{Data: frame, Link: wire.LinkEthernet, Original: len(frame)})
	}
	assert.LessOrEqual(t, len(u.datagrams), maxDatagrams)
}

// A canary is found wherever segment and piece borders fall, and memory stays bounded.
func TestLongStreams(t *testing.T) {
	canary := []byte("the canary that lies somewhere in a long stream")
	random := rand.New(rand.NewPCG(1, 2))
	for _, at := range []int{0, pieceBytes - 20, pieceBytes, 2*pieceBytes - 3, 3 * pieceBytes} {
		stream := bytes.Repeat([]byte("."), 4*pieceBytes)
		copy(stream[at:], canary)
		found, total := 0, 0
		s := newStreams(func(b []byte) bool {
			total += len(b)
			found += bytes.Count(b, canary)
			return true
		}, nil)
		seq := uint32(0xffff0000)
		for len(stream) > 0 {
			n := min(len(stream), 1+random.IntN(1460))
			s.add(&wire.Packet{SourcePort: 1, Seq: seq, Payload: stream[:n]})
			require.Less(t, s.held, pieceBytes+2*overlapBytes)
			stream, seq = stream[n:], seq+uint32(n)
		}
		s.flush()
		assert.GreaterOrEqualf(t, found, 1, "canary at %d", at)
		assert.Less(t, total, 4*pieceBytes+10*overlapBytes)
	}
}

func TestManyStreamsStayBounded(t *testing.T) {
	seen := map[string]bool{}
	s := newStreams(func(b []byte) bool {
		for _, word := range bytes.Fields(b) {
			seen[string(word)] = true
		}
		return true
	}, func(flow, *wire.CoAP) {})
	blob := bytes.Repeat([]byte(" "), 20<<10)
	for i := range 2 * maxStreams {
		s.add(&wire.Packet{SourcePort: uint16(i), DestinationPort: uint16(i >> 8), Seq: 5, Payload: fmt.Appendf(nil, " s%d ", i)})
		s.add(&wire.Packet{SourcePort: uint16(i), DestinationPort: uint16(i >> 8), Seq: 5000, Payload: blob})
		require.LessOrEqual(t, s.held, holdBytes)
		require.LessOrEqual(t, len(s.order), maxStreams)
	}
	s.flush()
	assert.Len(t, seen, 2*maxStreams)
	assert.Zero(t, s.held)
}

// FuzzUnpack checks the promise that a search rests on: every TCP payload of a frame can be found
// in one piece among what is yielded, whatever the sequence numbers say.
func FuzzUnpack(f *testing.F) {
	f.Add(uint64(1), []byte("\x00\x05\x05\x05\x02\x09"))
	f.Add(uint64(2), bytes.Repeat([]byte("\x03\xff"), 100))
	f.Fuzz(func(t *testing.T, seed uint64, moves []byte) {
		random := rand.New(rand.NewPCG(seed, 0))
		var out [][]byte
		u := newUnpacker(func(b []byte) bool {
			out = append(out, bytes.Clone(b))
			return true
		})
		u.frame(Frame{Data: moves, Link: wire.LinkEthernet})
		var payloads [][]byte
		for _, m := range moves[:min(len(moves), 300)] {
			payload := make([]byte, 1+random.IntN(40))
			for i := range payload {
				payload[i] = byte(random.IntN(256))
			}
			p := &wire.Packet{Proto: wire.ProtoTCP, SourcePort: []uint16{1, coapPort}[m&1], Seq: uint32(m>>2) * 7, Payload: payload}
			if m == 0 {
				p.Flags = wire.SYN
			}
			u.streams.add(p)
			payloads = append(payloads, payload)
		}
		u.flush()
		if u.streams.held != 0 {
			t.Fatalf("%d bytes still held", u.streams.held)
		}
		for _, want := range payloads {
			found := false
			for _, have := range out {
				found = found || bytes.Contains(have, want)
			}
			if !found {
				t.Fatalf("payload %x is nowhere", want)
			}
		}
	})
}
