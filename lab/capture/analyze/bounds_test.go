package analyze

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMoreFlowsThanFit(t *testing.T) {
	const flows = maxFlows + 500
	a := analyzed(t, Options{}, func(w *world) {
		for i := range flows {
			p := ends(7777)
			p.ip[0] = net.IPv4(10, 0, byte(i>>8), byte(i)).To4()
			w.udp(p, 0, []byte{1, 2, 3})
			w.udp(p, 1, []byte{1, 2, 3})
		}
	})
	assert.EqualValues(t, flows, a.Totals["udp flows"])
	assert.Len(t, a.Flows, maxFlowsListed)
	notes := strings.Join(a.Notes, "\n")
	assert.Contains(t, notes, "500 that were silent longest were closed early")
	assert.Contains(t, notes, "flows are counted but not listed")
	assert.Contains(t, notes, "no room for more endpoints")
	require.Len(t, a.Services, 1)
	assert.EqualValues(t, flows, a.Services[0].Flows)
	assert.EqualValues(t, maxClients, a.Services[0].Clients)
}

// TestScanPushesNobodyOut lets a session live on through a scan of more ports than flows fit.
func TestScanPushesNobodyOut(t *testing.T) {
	session := mqttTurns(4, "patient", 3)
	a := analyzed(t, Options{}, func(w *world) {
		flag := func(p pair, dir int, seq uint32, tcp layers.TCP, data []byte) {
			ip := p.ipv4(dir, layers.IPProtocolTCP)
			tcp.SrcPort, tcp.DstPort, tcp.Seq = layers.TCPPort(p.port[dir]), layers.TCPPort(p.port[1-dir]), seq
			require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
			w.write(w.ether(dir, layers.EthernetTypeIPv4), ip, &tcp, gopacket.Payload(data))
		}
		p := ends(1883)
		flag(p, 0, 99, layers.TCP{SYN: true}, nil)
		flag(p, 1, 99, layers.TCP{SYN: true, ACK: true}, nil)
		seq := [2]uint32{100, 100}
		say := func(turns []turn) {
			for _, s := range turns {
				for d := s.data; len(d) > 0; {
					n := min(len(d), 1400)
					flag(p, s.dir, seq[s.dir], layers.TCP{ACK: true}, d[:n])
					seq[s.dir] += uint32(n)
					d = d[n:]
				}
			}
		}
		say(session[:4])
		for port := range maxFlows + 100 {
			scan := ends(uint16(port + 2000))
			flag(scan, 0, 5, layers.TCP{SYN: true}, nil)
			flag(scan, 1, 0, layers.TCP{RST: true, ACK: true}, nil)
		}
		say(session[4:])
	})
	require.Len(t, a.MQTT, 1)
	assert.EqualValues(t, 3, a.MQTT[0].Published[0].Messages, "what was said after the scan")
	require.Len(t, a.Attempts, 1)
	assert.EqualValues(t, maxFlows+100, a.Attempts[0].Refused)
	assert.Len(t, a.Flows, maxRefused+1)
	assert.NotContains(t, strings.Join(a.Notes, "\n"), "closed early")
}

// TestFragments puts a CoAP answer together that came in three IP fragments, the last one first.
func TestFragments(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 3000)
	token := []byte{9}
	a := analyzed(t, Options{}, func(w *world) {
		p := ends(5683)
		w.udp(p, 0, coapMessage(0, 1, 7, token, coapOption(11, []byte("big")), nil))
		answer := coapMessage(2, 0x45, 7, token, nil, payload)
		b := gopacket.NewSerializeBuffer()
		udp := &layers.UDP{SrcPort: 5683, DstPort: layers.UDPPort(p.port[0])}
		require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, udp, gopacket.Payload(answer)))
		datagram := bytes.Clone(b.Bytes())
		for _, from := range []int{2400, 0, 1200} {
			ip := p.ipv4(1, layers.IPProtocolUDP)
			ip.Id, ip.FragOffset = 77, uint16(from/8)
			if from < 2400 {
				ip.Flags = layers.IPv4MoreFragments
			}
			w.write(w.ether(1, layers.EthernetTypeIPv4), ip, gopacket.Payload(datagram[from:min(len(datagram), from+1200)]))
		}
	})
	require.Len(t, a.CoAP, 1)
	assert.Equal(t, []any{"2.05", Count(3000), true}, []any{a.CoAP[0].Code, a.CoAP[0].Received.Bytes, a.CoAP[0].Received.Whole})
}

// TestCoAPForms reads observation, uploads in blocks, a missing block, and CoAP over TCP.
func TestCoAPForms(t *testing.T) {
	a := analyzed(t, Options{}, func(w *world) {
		p := ends(5683)
		token := []byte{1, 2}
		w.udp(p, 0, coapMessage(0, 1, 1, token, append(coapOption(6, nil), coapOption(5, []byte("temp"))...), nil))
		for i := range 4 {
			w.udp(p, 1, coapMessage(1, 0x45, uint16(50+i), token, coapOption(6, []byte{byte(i)}), []byte("21")))
		}
		for n := range 3 {
			more := byte(8)
			if n == 2 {
				more = 0
			}
			options := append(coapOption(11, []byte("up")), 0xd1, 27-11-13, byte(n<<4)|more)
			w.udp(p, 0, coapMessage(0, 3, uint16(100+n), []byte{3, byte(n)}, options, make([]byte, 16)))
			w.udp(p, 1, coapMessage(2, map[bool]byte{true: 0x44, false: 0x5f}[n == 2], uint16(100+n), []byte{3, byte(n)}, nil, nil))
		}
		turns, _ := coapBlocks(6)
		q := ends(5683)
		q.port[0] = 40009
		for i, s := range turns {
			if i != 5 { // an answer is missing
				w.udp(q, s.dir, s.data)
			}
		}
		w.tcp(ends(5683), []turn{{toServer, []byte{0x00, 0xe1}}, {toClient, []byte{0x00, 0xe1}}, {toServer, []byte{0x21, 1, 5, 0xb1, 'x'}}, {toClient, []byte{0x31, 0x45, 5, 0xff, 'o', 'k'}}})
	})
	require.Len(t, a.CoAP, 4)
	assert.Equal(t, []any{"/temp", true, Count(4), Count(1)}, []any{a.CoAP[0].Path, a.CoAP[0].Observe, a.CoAP[0].Notifications, a.CoAP[0].Requests})
	assert.Equal(t, []any{"PUT", "/up", "2.04", Count(48), 3, true}, []any{a.CoAP[1].Method, a.CoAP[1].Path, a.CoAP[1].Code, a.CoAP[1].Sent.Bytes, a.CoAP[1].Sent.Blocks, a.CoAP[1].Sent.Whole})
	assert.Equal(t, []any{"/fw", 2, false}, []any{a.CoAP[2].Path, a.CoAP[2].Received.Blocks, a.CoAP[2].Received.Whole})
	assert.Equal(t, []any{"tcp", "GET", "/x", "2.05", Count(2)}, []any{a.CoAP[3].Transport, a.CoAP[3].Method, a.CoAP[3].Path, a.CoAP[3].Code, a.CoAP[3].Received.Bytes})
}

// endless is a file that never shows a frame.
type endless struct{ reads int }

func (e *endless) Read(b []byte) (int, error) {
	e.reads++
	block := append([]byte{0xad, 0x0b, 0, 0, 12, 0, 0, 0}, 12, 0, 0, 0)
	if e.reads == 1 {
		return copy(b, append([]byte{0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}, 28, 0, 0, 0)), nil
	}
	return copy(b, bytes.Repeat(block, len(b)/12)), nil
}

func TestEndlessFileIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in := &endless{}
	done := make(chan error, 1)
	go func() {
		_, err := Read(ctx, io.MultiReader(in), Options{})
		done <- err
	}()
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}
