package analyze

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/pion/dtls/v3"
	"github.com/stretchr/testify/require"
)

// A turn is what one side says in a conversation.
type turn struct {
	dir  int
	data []byte
}

// A world writes a capture of many devices, by another implementation than the one under test.
type world struct {
	t       testing.TB
	w       *pcapgo.NgWriter
	at      time.Time
	packets int
	lose    int // this packet is not written
	mac     [2]net.HardwareAddr
	buffer  gopacket.SerializeBuffer
}

func newWorld(t testing.TB, out io.Writer) *world {
	t.Helper()
	w, err := pcapgo.NewNgWriter(out, layers.LinkTypeEthernet)
	require.NoError(t, err)
	return &world{
		t: t, w: w, at: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), buffer: gopacket.NewSerializeBuffer(),
		mac: [2]net.HardwareAddr{{2, 0, 0, 0, 0, 0x64}, {2, 0, 0, 0, 0, 1}},
	}
}

func (w *world) write(parts ...gopacket.SerializableLayer) {
	w.t.Helper()
	require.NoError(w.t, gopacket.SerializeLayers(w.buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...))
	w.at = w.at.Add(50 * time.Microsecond)
	if w.packets++; w.packets == w.lose {
		return
	}
	data := w.buffer.Bytes()
	require.NoError(w.t, w.w.WritePacket(gopacket.CaptureInfo{Timestamp: w.at, CaptureLength: len(data), Length: len(data)}, data))
}

func (w *world) ether(dir int, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: w.mac[dir], DstMAC: w.mac[1-dir], EthernetType: kind}
}

// A pair is two ends of conversations.
type pair struct {
	ip   [2]net.IP
	port [2]uint16
}

func (p pair) ipv4(dir int, proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: p.ip[dir], DstIP: p.ip[1-dir]}
}

func (w *world) udp(p pair, dir int, data []byte) {
	ip := p.ipv4(dir, layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: layers.UDPPort(p.port[dir]), DstPort: layers.UDPPort(p.port[1-dir])}
	require.NoError(w.t, udp.SetNetworkLayerForChecksum(ip))
	w.write(w.ether(dir, layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(data))
}

// tcp writes a whole connection: handshake, segments with acknowledgements, end.
func (w *world) tcp(p pair, turns []turn) {
	seq := [2]uint32{1000, 5000}
	send := func(dir int, data []byte, set func(*layers.TCP)) {
		ip := p.ipv4(dir, layers.IPProtocolTCP)
		tcp := &layers.TCP{SrcPort: layers.TCPPort(p.port[dir]), DstPort: layers.TCPPort(p.port[1-dir]), Seq: seq[dir], Ack: seq[1-dir], ACK: true, Window: 65000}
		if set != nil {
			set(tcp)
		}
		require.NoError(w.t, tcp.SetNetworkLayerForChecksum(ip))
		w.write(w.ether(dir, layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(data))
		seq[dir] += uint32(len(data))
		if tcp.SYN || tcp.FIN {
			seq[dir]++
		}
	}
	send(0, nil, func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0 })
	send(1, nil, func(t *layers.TCP) { t.SYN = true })
	send(0, nil, nil)
	for _, said := range turns {
		for data := said.data; len(data) > 0; {
			n := min(len(data), 1460)
			send(said.dir, data[:n], func(t *layers.TCP) { t.PSH = n == len(data) })
			data = data[n:]
		}
		send(1-said.dir, nil, nil)
	}
	send(0, nil, func(t *layers.TCP) { t.FIN = true })
	send(1, nil, func(t *layers.TCP) { t.FIN = true })
	send(0, nil, nil)
}

// A recorder notes what goes through one end of a pipe.
type recorder struct {
	net.Conn
	dir   int
	mu    *sync.Mutex
	turns *[]turn
}

func (r recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	*r.turns = append(*r.turns, turn{r.dir, append([]byte(nil), b...)})
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// recorded is what two ends said to each other over a pipe.
func recorded(client, server func(net.Conn) error) (turns []turn, err error) {
	a, b := net.Pipe()
	var mu sync.Mutex
	done := make(chan error, 1)
	go func() {
		defer b.Close()
		done <- server(recorder{b, toClient, &mu, &turns})
	}()
	err = client(recorder{a, toServer, &mu, &turns})
	_ = a.Close()
	<-done
	return turns, err
}

// identity is a certificate of the name cloud.example.
func identity(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cloud.example", Organization: []string{"Example"}}, DNSNames: []string{"cloud.example"},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsTurns is a real handshake with some data after it.
func tlsTurns(t testing.TB, client *tls.Config, server *tls.Config, size int) []turn {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	turns, err := recorded(func(c net.Conn) error {
		_ = c.SetDeadline(deadline)
		conn := tls.Client(c, client)
		if err := conn.Handshake(); err != nil {
			return err
		}
		if _, err := conn.Write(make([]byte, size)); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, make([]byte, size))
		return err
	}, func(c net.Conn) error {
		_ = c.SetDeadline(deadline)
		conn := tls.Server(c, server)
		if _, err := io.ReadFull(conn, make([]byte, size)); err != nil {
			return err
		}
		_, err := conn.Write(make([]byte, size))
		return err
	})
	if client.InsecureSkipVerify {
		require.NoError(t, err)
	}
	return turns
}

// dtlsTurns is a real DTLS conversation with a pre-shared key.
func dtlsTurns(t testing.TB) []turn {
	t.Helper()
	addr := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	a, err := net.ListenUDP("udp4", addr)
	require.NoError(t, err)
	b, err := net.ListenUDP("udp4", addr)
	require.NoError(t, err)
	defer a.Close()
	defer b.Close()
	var turns []turn
	var mu sync.Mutex
	psk := dtls.WithPSK(func([]byte) ([]byte, error) { return []byte("0123456789abcdef"), nil })
	suite := dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		s, err := dtls.ServerWithOptions(packetRecorder{b, toClient, &mu, &turns}, a.LocalAddr(), psk, suite, dtls.WithPSKIdentityHint([]byte("hint")))
		if err == nil {
			if err = s.HandshakeContext(ctx); err == nil {
				buf := make([]byte, 1500)
				for range 10 {
					n, readErr := s.Read(buf)
					if readErr != nil {
						err = readErr
						break
					}
					_, _ = s.Write(buf[:n])
				}
			}
		}
		done <- err
	}()
	c, err := dtls.ClientWithOptions(packetRecorder{a, toServer, &mu, &turns}, b.LocalAddr(), psk, suite, dtls.WithPSKIdentityHint([]byte("device")))
	require.NoError(t, err)
	require.NoError(t, c.HandshakeContext(ctx))
	buf := make([]byte, 1500)
	for range 10 {
		_, err := c.Write(make([]byte, 200))
		require.NoError(t, err)
		_, err = c.Read(buf)
		require.NoError(t, err)
	}
	require.NoError(t, <-done)
	mu.Lock()
	defer mu.Unlock()
	return append([]turn(nil), turns...)
}

type packetRecorder struct {
	net.PacketConn
	dir   int
	mu    *sync.Mutex
	turns *[]turn
}

func (r packetRecorder) WriteTo(b []byte, to net.Addr) (int, error) {
	r.mu.Lock()
	*r.turns = append(*r.turns, turn{r.dir, append([]byte(nil), b...)})
	r.mu.Unlock()
	return r.PacketConn.WriteTo(b, to)
}

func mqttString(text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
}

func mqttControl(first byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	out := []byte{first}
	for n := len(body); ; {
		c := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			out = append(out, c|0x80)
			continue
		}
		return append(append(out, c), body...)
	}
}

// mqttTurns is a session that publishes some messages; version is 4 or 5.
func mqttTurns(version byte, id string, messages int) []turn {
	properties := []byte{}
	if version == 5 {
		properties = []byte{0}
	}
	connect := mqttControl(0x10, mqttString("MQTT"), []byte{version, 0xc2 | 0x2c, 0, 60}, properties, mqttString(id),
		properties, mqttString("devices/"+id+"/will"), mqttString("gone"), mqttString("user-"+id), mqttString("hunter2-secret"))
	turns := []turn{
		{toServer, connect}, {toClient, mqttControl(0x20, []byte{0, 0}, properties)},
		{toServer, mqttControl(0x82, []byte{0, 1}, properties, mqttString("devices/"+id+"/set/#"), []byte{1})},
		{toClient, mqttControl(0x90, []byte{0, 1}, properties, []byte{1})},
	}
	for i := range messages {
		payload := fmt.Appendf(nil, `{"temperature": %d, "n": %d}`, 20+i%5, i)
		turns = append(turns, turn{toServer, mqttControl(0x32, mqttString("devices/"+id+"/state"), []byte{0, byte(i + 2)}, properties, payload)},
			turn{toClient, mqttControl(0x40, []byte{0, byte(i + 2)})})
	}
	long := mqttControl(0x31, mqttString("devices/"+id+"/log"), properties, make([]byte, 20000))
	return append(turns, turn{toServer, long}, turn{toServer, []byte{0xc0, 0}}, turn{toClient, []byte{0xd0, 0}}, turn{toServer, []byte{0xe0, 0}})
}

func httpTurns() []turn {
	page := make([]byte, 12000)
	for i := range page {
		page[i] = byte('a' + i%26)
	}
	form := "username=admin&password=letmein9"
	return []turn{
		{toServer, []byte("GET /status?verbose=1 HTTP/1.1\r\nHost: device.example\r\nUser-Agent: test\r\nAuthorization: Basic YWRtaW46c2VjcmV0IQ==\r\n\r\n")},
		{toClient, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: tiny/1.0\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", len(page), page)},
		{toServer, fmt.Appendf(nil, "POST /login HTTP/1.1\r\nHost: device.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)},
		{toClient, []byte("HTTP/1.1 302 Found\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")},
		{toServer, []byte("GET /next HTTP/1.1\r\nHost: device.example\r\n\r\n")},
		{toClient, []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")},
	}
}

// coapOption writes one option with a small delta.
func coapOption(delta byte, value []byte) []byte {
	return append([]byte{delta<<4 | byte(len(value))}, value...)
}

func coapMessage(kind, code byte, id uint16, token []byte, options []byte, payload []byte) []byte {
	b := []byte{0x40 | kind<<4 | byte(len(token)), code, byte(id >> 8), byte(id)}
	b = append(append(b, token...), options...)
	if len(payload) > 0 {
		b = append(append(b, 0xff), payload...)
	}
	return b
}

// coapBlocks is a download in blocks of 64 bytes under one path.
func coapBlocks(blocks int) (turns []turn, payload []byte) {
	for n := range blocks {
		more := byte(8)
		if n == blocks-1 {
			more = 0
		}
		block := func(m byte) []byte { v := n<<4 | 2; return []byte{byte(v >> 8), byte(v) | m} }
		part := make([]byte, 64)
		for i := range part {
			part[i] = byte(n + i)
		}
		payload = append(payload, part...)
		token := []byte{7, byte(n)}
		path := coapOption(11, []byte("fw"))
		turns = append(turns,
			turn{toServer, coapMessage(0, 1, uint16(n), token, append(path, coapOption(12, block(0))...), nil)},
			turn{toClient, coapMessage(2, 0x45, uint16(n), token, append([]byte{0xd2, 23 - 13}, block(more)...), part)})
	}
	return turns, payload
}

func dnsPair(t testing.TB, id uint16, name string) (query, response []byte) {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	q := layers.DNS{ID: id, RD: true, Questions: []layers.DNSQuestion{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	require.NoError(t, q.SerializeTo(b, gopacket.SerializeOptions{FixLengths: true}))
	query = append([]byte(nil), b.Bytes()...)
	q.QR, q.ANCount = true, 1
	q.Answers = []layers.DNSResourceRecord{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN, TTL: 60, IP: net.IPv4(198, 51, 100, byte(id)).To4()}}
	b = gopacket.NewSerializeBuffer()
	require.NoError(t, q.SerializeTo(b, gopacket.SerializeOptions{FixLengths: true}))
	return query, append([]byte(nil), b.Bytes()...)
}

func dhcp(t testing.TB, kind layers.DHCPMsgType, mac net.HardwareAddr, ip net.IP, name string) []byte {
	t.Helper()
	m := &layers.DHCPv4{Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, ClientHWAddr: mac, Xid: 7}
	m.Options = layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(kind)})}
	if kind == layers.DHCPMsgTypeOffer || kind == layers.DHCPMsgTypeAck {
		m.Operation, m.YourClientIP = layers.DHCPOpReply, ip
		m.Options = append(m.Options, layers.NewDHCPOption(layers.DHCPOptServerID, []byte{192, 0, 2, 1}), layers.NewDHCPOption(layers.DHCPOptRouter, []byte{192, 0, 2, 1}))
	} else {
		m.Options = append(m.Options, layers.NewDHCPOption(layers.DHCPOptHostname, []byte(name)), layers.NewDHCPOption(layers.DHCPOptClassID, []byte("udhcp 1.36")),
			layers.NewDHCPOption(layers.DHCPOptParamsRequest, []byte{1, 3, 6, 15}))
	}
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, m.SerializeTo(b, gopacket.SerializeOptions{FixLengths: true}))
	return b.Bytes()
}

// scenes are conversations recorded once and replayed by every device.
type scenes struct {
	tls12, tls13, dtls, http, coap, bert []turn
}

func newScenes(t testing.TB) scenes {
	t.Helper()
	cert := identity(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"x-amzn-mqtt-ca"}}
	client := func(version uint16) *tls.Config {
		return &tls.Config{ServerName: "cloud.example", InsecureSkipVerify: true, MaxVersion: version, NextProtos: []string{"x-amzn-mqtt-ca"}}
	}
	s := scenes{http: httpTurns(), dtls: dtlsTurns(t)}
	s.tls12 = tlsTurns(t, client(tls.VersionTLS12), server, 40000)
	s.tls13 = tlsTurns(t, client(tls.VersionTLS13), server, 40000)
	s.coap, _ = coapBlocks(24)
	s.bert, _ = coapBERT(3, 2048, 4096, 700)
	return s
}

// device writes what one device does in its life.
func (w *world) device(n int, s *scenes) {
	ip := net.IPv4(192, 0, 2, byte(2+n%200)).To4()
	bench, name := net.IPv4(192, 0, 2, 1).To4(), fmt.Sprintf("device-%d", n%200)
	w.mac[0] = net.HardwareAddr{2, 0, 0, 0, 1, byte(n % 200)}
	port := uint16(20000 + n*7%40000)
	to := func(server uint16) pair {
		port++
		return pair{[2]net.IP{ip, bench}, [2]uint16{port, server}}
	}
	boot := pair{[2]net.IP{net.IPv4zero.To4(), net.IPv4bcast.To4()}, [2]uint16{68, 67}}
	w.udp(boot, 0, dhcp(w.t, layers.DHCPMsgTypeDiscover, w.mac[0], ip, name))
	lease := pair{[2]net.IP{ip, bench}, [2]uint16{68, 67}}
	w.udp(lease, 1, dhcp(w.t, layers.DHCPMsgTypeOffer, w.mac[0], ip, name))
	w.udp(boot, 0, dhcp(w.t, layers.DHCPMsgTypeRequest, w.mac[0], ip, name))
	w.udp(lease, 1, dhcp(w.t, layers.DHCPMsgTypeAck, w.mac[0], ip, name))
	w.write(w.ether(0, layers.EthernetTypeARP), &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: w.mac[0], SourceProtAddress: ip, DstHwAddress: make([]byte, 6), DstProtAddress: bench})
	for i := range 3 {
		query, response := dnsPair(w.t, uint16(n+i), fmt.Sprintf("host-%d.example", (n+i)%300))
		p := to(53)
		w.udp(p, 0, query)
		w.udp(p, 1, response)
	}
	clock := to(123)
	w.udp(clock, 0, append([]byte{0x23}, make([]byte, 47)...))
	w.udp(clock, 1, append([]byte{0x24}, make([]byte, 47)...))
	w.tcp(to(1883), mqttTurns(byte(4+n%2), name, 25))
	w.tcp(to(80), s.http)
	w.tcp(to(8883), s.tls12)
	w.tcp(to(443), s.tls13)
	for _, scene := range []struct {
		port  uint16
		turns []turn
	}{{5684, s.dtls}, {5683, s.coap}} {
		p := to(scene.port)
		for _, said := range scene.turns {
			w.udp(p, said.dir, said.data)
		}
	}
	w.tcp(to(5683), s.bert)
}

// generate writes a mixed capture of at least so many packets and tells how many it has.
func generate(t testing.TB, atLeast int) (path string, packets int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mixed.pcapng")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	w, s := newWorld(t, out), newScenes(t)
	for n := 0; w.packets < atLeast; n++ {
		w.device(n, &s)
	}
	require.NoError(t, w.w.Flush())
	require.NoError(t, out.Flush())
	return path, w.packets
}
