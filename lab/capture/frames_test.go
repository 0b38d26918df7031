package capture

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
)

var (
	deviceMAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x64}
	benchMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	deviceIP  = net.IPv4(192, 0, 2, 100).To4()
	benchIP   = net.IPv4(192, 0, 2, 1).To4()
)

// build serialises a frame by another implementation than the one under test.
func build(t testing.TB, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buffer := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...))
	return buffer.Bytes()
}

func ether(kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: deviceMAC, DstMAC: benchMAC, EthernetType: kind}
}

func ipv4(proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: deviceIP, DstIP: benchIP}
}

func udpFrame(t testing.TB, sport, dport uint16, payload []byte) []byte {
	t.Helper()
	ip := ipv4(layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	return build(t, ether(layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(payload))
}

func tcpFrame(t testing.TB, sport, dport uint16, seq uint32, syn bool, payload []byte) []byte {
	t.Helper()
	ip := ipv4(layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: seq, SYN: syn, ACK: true, Window: 1000}
	require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
	return build(t, ether(layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(payload))
}

func udp6Frame(t testing.TB, payload []byte) []byte {
	t.Helper()
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: net.ParseIP("2001:db8::100"), DstIP: net.ParseIP("2001:db8::1")}
	udp := &layers.UDP{SrcPort: 4000, DstPort: 4001}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	return build(t, ether(layers.EthernetTypeIPv6), ip, udp, gopacket.Payload(payload))
}

func arpFrame(t testing.TB) []byte {
	t.Helper()
	return build(t, ether(layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: deviceMAC, SourceProtAddress: deviceIP,
		DstHwAddress: make([]byte, 6), DstProtAddress: benchIP,
	})
}

// file writes frames into a capture file of our own making.
func file(t testing.TB, frames ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "frames.pcapng")
	require.NoError(t, os.WriteFile(path, encode(frames...), 0o600))
	return path
}

func encode(frames ...[]byte) []byte {
	b := appendInterface(appendSection(nil, ""), "test0", snapLength, "", "")
	for i, f := range frames {
		b = appendPacket(b, packet{nanoseconds: 1_700_000_000_000_000_000 + uint64(i), data: f, original: len(f)}, nil)
	}
	return b
}

// wall is the bench's clock in tests.
type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A script is a source that plays what a test gives it.
type script struct {
	mu      sync.Mutex
	waiting []packet
	taken   uint64
	lost    uint64
	fault   error
	ended   bool
	closed  int
	held    bool // the kernel has frames, but does not hand them over yet
	wake    chan struct{}
}

func newScript() *script { return &script{wake: make(chan struct{}, 1)} }

func (s *script) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *script) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	s.poke()
}

func (s *script) give(frames ...[]byte) {
	s.change(func() {
		for _, f := range frames {
			s.taken++
			s.waiting = append(s.waiting, packet{nanoseconds: 1_700_000_000_000_000_000 + s.taken, data: f, original: len(f)})
		}
	})
}

func (s *script) read(add func(packet)) error {
	s.mu.Lock()
	if !s.held && len(s.waiting) > 0 {
		for _, p := range s.waiting {
			add(p)
		}
		s.waiting = nil
		s.mu.Unlock()
		return nil
	}
	fault, ended := s.fault, s.ended
	s.mu.Unlock()
	if fault != nil {
		return fault
	}
	if ended {
		return io.EOF
	}
	<-s.wake
	return nil
}

func (s *script) statistics() (uint64, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.lost, nil
}

func (s *script) stop() { s.change(func() { s.ended = true }) }

func (s *script) close() error {
	s.change(func() { s.closed++ })
	return nil
}

// scripted starts a capture of a script.
func scripted(t testing.TB) (*Capture, *script) {
	t.Helper()
	o, err := Options{Interface: "test0", Path: filepath.Join(t.TempDir(), "run.pcapng"), MAC: deviceMAC, Clock: wall{}}.check()
	require.NoError(t, err)
	out, head, err := create(o)
	require.NoError(t, err)
	s := newScript()
	c := begin(t.Context(), o, s, out, head)
	t.Cleanup(func() { _ = c.Close() })
	return c, s
}

func captureInfo(at time.Time, length int) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: at, CaptureLength: length, Length: length}
}
