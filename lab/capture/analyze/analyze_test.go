package analyze

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ends(server uint16) pair {
	return pair{[2]net.IP{net.IPv4(192, 0, 2, 100).To4(), net.IPv4(192, 0, 2, 1).To4()}, [2]uint16{40000, server}}
}

// analyzed writes a capture and reads it.
func analyzed(t testing.TB, o Options, write func(*world)) *Analysis {
	t.Helper()
	var b bytes.Buffer
	w := newWorld(t, &b)
	write(w)
	require.NoError(t, w.w.Flush())
	a, err := Read(t.Context(), &b, o)
	require.NoError(t, err)
	return a
}

func TestOneDevice(t *testing.T) {
	s := newScenes(t)
	a := analyzed(t, Options{}, func(w *world) { w.device(1, &s) })
	require.Empty(t, a.Notes)

	var seen []string
	for _, c := range a.Credentials {
		assert.Positive(t, c.Frame)
		seen = append(seen, strings.Join([]string{c.Protocol, c.User, c.Secret, c.Where}, "|"))
	}
	assert.Equal(t, []string{"MQTT|user-device-1|h******* (14 characters)|client id device-1", "HTTP Basic|admin|s****** (7 characters)|",
		"HTTP form|admin|l******* (8 characters)|field password"}, seen)

	require.Len(t, a.MQTT, 1)
	m := a.MQTT[0]
	assert.Equal(t, []any{"5.0", "device-1", "user-device-1", true, 60, 0}, []any{m.Version, m.ClientID, m.User, m.Password, m.KeepAlive, m.Code})
	assert.Equal(t, &Will{Topic: "devices/device-1/will", QoS: 1, Retain: true, Bytes: 4}, m.Will)
	require.Len(t, m.Published, 2)
	assert.EqualValues(t, 25, m.Published[0].Messages)
	assert.Equal(t, Topic{Topic: "devices/device-1/log", From: "client", Messages: 1, Retained: 1, Bytes: 20000, Frame: m.Published[1].Frame}, m.Published[1])
	require.Len(t, m.Subscribed, 1)
	assert.Equal(t, []any{"devices/device-1/set/#", 1, 1}, []any{m.Subscribed[0].Filter, m.Subscribed[0].QoS, m.Subscribed[0].Granted})

	_, firmware := coapBlocks(24)
	sum := sha256.Sum256(firmware)
	require.Len(t, a.CoAP, 2, "a payload over many blocks is one, over UDP and over TCP")
	assert.Equal(t, Body{Bytes: Count(len(firmware)), Blocks: 24, Whole: true, SHA256: hex.EncodeToString(sum[:])}, a.CoAP[0].Received)
	assert.Equal(t, []any{"GET", "/fw", "2.05", "udp"}, []any{a.CoAP[0].Method, a.CoAP[0].Path, a.CoAP[0].Code, a.CoAP[0].Transport})

	require.Len(t, a.HTTP, 3)
	assert.Equal(t, []any{"GET", "/status?...", 200, "tiny/1.0"}, []any{a.HTTP[0].Method, a.HTTP[0].Path, a.HTTP[0].Status, a.HTTP[0].Software})
	assert.Equal(t, []any{302, 404}, []any{a.HTTP[1].Status, a.HTTP[2].Status}, "responses after a chunked body")

	require.Len(t, a.TLS, 3)
	assert.Equal(t, []any{"cloud.example", "TLS 1.2", "x-amzn-mqtt-ca", true, false}, []any{a.TLS[0].ServerName, a.TLS[0].Version, a.TLS[0].ALPN, a.TLS[0].Completed, a.TLS[0].Resumed})
	require.Len(t, a.TLS[0].Certificates, 1)
	assert.Equal(t, []any{"CN=cloud.example,O=Example", []string{"cloud.example"}, true}, []any{a.TLS[0].Certificates[0].Subject, a.TLS[0].Certificates[0].Names, a.TLS[0].Certificates[0].Valid})
	assert.Equal(t, []any{"TLS 1.3", true}, []any{a.TLS[1].Version, a.TLS[1].Completed})
	assert.Equal(t, []any{"DTLS", "DTLS 1.2", "TLS_PSK_WITH_AES_128_CCM_8", true}, []any{a.TLS[2].Protocol, a.TLS[2].Version, a.TLS[2].CipherSuite, a.TLS[2].Completed})
	assert.True(t, strings.HasPrefix(a.TLS[1].JA4, "t13d"), a.TLS[1].JA4)

	require.Len(t, a.DHCP, 1)
	assert.Equal(t, []any{"device-1", "udhcp 1.36", "192.0.2.3", "192.0.2.1", "1,3,6,15"}, []any{a.DHCP[0].HostName, a.DHCP[0].VendorClass, a.DHCP[0].Address, a.DHCP[0].Server, a.DHCP[0].Parameters})
	require.Len(t, a.DNS, 3)
	assert.Equal(t, []any{"host-1.example", "A", []string{"198.51.100.1"}, "no error"}, []any{a.DNS[0].Name, a.DNS[0].Type, a.DNS[0].Answers, a.DNS[0].Code})
	services := map[string]string{}
	for _, v := range a.Services {
		services[v.Server+"/"+v.Transport] = v.Protocol
	}
	assert.Equal(t, map[string]string{"192.0.2.1:53/udp": "DNS", "192.0.2.1:123/udp": "NTP", "192.0.2.1:1883/tcp": "MQTT", "192.0.2.1:80/tcp": "HTTP", "192.0.2.1:8883/tcp": "TLS",
		"192.0.2.1:443/tcp": "TLS", "192.0.2.1:5684/udp": "DTLS", "192.0.2.1:5683/udp": "CoAP", "192.0.2.1:5683/tcp": "CoAP", "192.0.2.1:67/udp": "DHCP"}, services)
	for _, e := range a.Endpoints {
		if e.Address == "192.0.2.3" {
			assert.Equal(t, []string{"02:00:00:00:01:01"}, e.MACs)
			assert.Contains(t, e.Names, "device-1")
		}
	}
	whole, err := json.Marshal(a)
	require.NoError(t, err)
	for _, secret := range []string{"hunter2", "letmein9", "secret!", "YWRtaW46"} {
		assert.NotContains(t, string(whole), secret)
	}
}

func TestSecretsAreToldOnlyWhenAsked(t *testing.T) {
	a := analyzed(t, Options{ShowSecrets: true}, func(w *world) { w.tcp(ends(80), httpTurns()) })
	assert.Equal(t, "secret!", a.Credentials[0].Secret)
	assert.Equal(t, "letmein9", a.Credentials[1].Secret)
	assert.Equal(t, "/status?verbose=1", a.HTTP[0].Path)
	for secret, want := range map[string]string{"": "(empty)", "x": "* (1 character)", "ab": "a* (2 characters)", "ünïcode": "ü****** (7 characters)", "\x1b]0": ".** (3 characters)"} {
		assert.Equal(t, want, Mask(secret))
	}
}

func TestPlainLogins(t *testing.T) {
	says := func(parts ...string) (turns []turn) {
		for _, p := range parts {
			dir := toServer
			if p[0] == '<' {
				dir = toClient
			}
			turns = append(turns, turn{dir, []byte(p[1:])})
		}
		return turns
	}
	for name, c := range map[string]struct {
		write func(*world)
		want  string
	}{
		"ftp": {func(w *world) {
			w.tcp(ends(21), says("<220 tiny FTP\r\n", ">USER bob\r\n", "<331 go on\r\n", ">PASS swordfish\r\n", "<230 in\r\n"))
		}, "FTP|bob|swordfish"},
		"ftp elsewhere": {func(w *world) { w.tcp(ends(2121), says("<220 tiny FTP\r\n", ">USER bob\r\nPASS swordfish\r\n")) }, "FTP|bob|swordfish"},
		"pop3":          {func(w *world) { w.tcp(ends(110), says("<+OK\r\n", ">USER a\r\n", ">PASS b c\r\n")) }, "POP3|a|b c"},
		"imap":          {func(w *world) { w.tcp(ends(143), says("<* OK\r\n", ">a1 LOGIN \"x\" \"yz\"\r\n")) }, "IMAP|x|yz"},
		"telnet": {func(w *world) {
			w.tcp(ends(23), says("<\xff\xfd\x18\xff\xfb\x01login: ", ">ro", ">ot\r\n", "<Password: ", ">xx\x7fc3511\r\x00", "<# "))
		}, "Telnet|root|xc3511"},
		"snmp v2c": {func(w *world) {
			w.udp(ends(161), 0, append([]byte{0x30, 0x10, 2, 1, 1, 4, 6}, append([]byte("public"), 0xa0, 3, 2, 1, 1)...))
		}, "SNMP||public"},
		"http json": {func(w *world) {
			body := `{"user":"eve","wifi_key":"k\"ey"}`
			w.tcp(ends(8080), says(">PUT /c HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 33\r\n\r\n"+body))
		}, `HTTP JSON|eve|k\"ey`},
		"http bearer": {func(w *world) { w.tcp(ends(80), says(">GET / HTTP/1.1\r\nauthorization: Bearer abc.def\r\n\r\n")) }, "HTTP Bearer||abc.def"},
		"http query":  {func(w *world) { w.tcp(ends(80), says(">GET /?login=me&pin=1234 HTTP/1.1\r\n\r\n")) }, "HTTP query|me|1234"},
		"mqtt 3.1.1":  {func(w *world) { w.tcp(ends(18830), mqttTurns(4, "d", 1)) }, "MQTT|user-d|hunter2-secret"},
	} {
		a := analyzed(t, Options{ShowSecrets: true}, c.write)
		if assert.Len(t, a.Credentials, 1, name) {
			g := a.Credentials[0]
			assert.Equal(t, c.want, g.Protocol+"|"+g.User+"|"+g.Secret, name)
			assert.Equal(t, "192.0.2.100", g.Client, name)
		}
		assert.NotEmpty(t, a.ClearText, name)
	}
}

func TestTLSEndings(t *testing.T) {
	cert := identity(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	refusing := tlsTurns(t, &tls.Config{ServerName: "cloud.example", RootCAs: x509.NewCertPool(), MaxVersion: tls.VersionTLS12}, server, 10)
	cache := tls.NewLRUClientSessionCache(4)
	resuming := func(version uint16) []turn {
		client := &tls.Config{ServerName: "cloud.example", InsecureSkipVerify: true, ClientSessionCache: cache, MaxVersion: version}
		tlsTurns(t, client, server, 10)
		return tlsTurns(t, client, server, 10)
	}
	a := analyzed(t, Options{}, func(w *world) {
		w.tcp(ends(8883), refusing)
		w.tcp(ends(8884), resuming(tls.VersionTLS12))
		cache = tls.NewLRUClientSessionCache(4)
		w.tcp(ends(8885), resuming(tls.VersionTLS13))
	})
	require.Len(t, a.TLS, 3)
	assert.Equal(t, []Alert{{From: "client", Text: "alert: bad certificate", Frame: a.TLS[0].Alerts[0].Frame}}, a.TLS[0].Alerts)
	assert.False(t, a.TLS[0].Completed)
	for i, s := range a.TLS[1:] {
		assert.True(t, s.Resumed, i)
		assert.True(t, s.Completed, i)
	}
	assert.Equal(t, "TLS 1.2", a.TLS[1].Version)
	assert.Equal(t, "TLS 1.3", a.TLS[2].Version)
}

func TestConnectionStates(t *testing.T) {
	a := analyzed(t, Options{}, func(w *world) {
		flags := func(p pair, dir int, set func(*layers.TCP)) {
			ip := p.ipv4(dir, layers.IPProtocolTCP)
			tcp := &layers.TCP{SrcPort: layers.TCPPort(p.port[dir]), DstPort: layers.TCPPort(p.port[1-dir]), Window: 9, Seq: 7}
			set(tcp)
			require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
			w.write(w.ether(dir, layers.EthernetTypeIPv4), ip, tcp)
		}
		syn := func(tcp *layers.TCP) { tcp.SYN = true }
		ack := func(tcp *layers.TCP) { tcp.SYN, tcp.ACK = true, true }
		rst := func(tcp *layers.TCP) { tcp.RST, tcp.ACK = true, true }
		flags(ends(1), 0, syn)
		flags(ends(2), 0, syn)
		flags(ends(2), 1, rst)
		flags(ends(3), 0, syn)
		flags(ends(3), 1, ack)
		flags(ends(3), 0, rst)
		flags(ends(4), 1, ack)
		w.tcp(ends(5), nil)
		w.tcp(ends(5), []turn{{toServer, []byte("hello there")}}) // the same ports, another connection... with the same numbers
	})
	var states []string
	for _, f := range a.Flows {
		states = append(states, f.Server[len("192.0.2.1:"):]+" "+f.State)
	}
	assert.Equal(t, []string{"1 unanswered", "2 refused", "3 reset", "4 established", "5 closed"}, states)
	require.Len(t, a.Attempts, 1)
	assert.Equal(t, Attempts{Client: "192.0.2.100", Server: "192.0.2.1", Transport: "tcp", Refused: 1, Unanswered: 1, LowestPort: 1, HighestPort: 2, Frame: 1}, a.Attempts[0])
}

// TestOrderOfSegments gives the same bytes in every way that a network may bring them.
func TestOrderOfSegments(t *testing.T) {
	connect := mqttTurns(4, "device", 0)[0].data
	for name, c := range map[string]struct {
		order []int // pieces of ten bytes
		gap   bool
	}{
		"in order": {[]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, false}, "backwards after the first": {[]int{0, 9, 8, 7, 6, 5, 4, 3, 2, 1}, false},
		"twice": {[]int{0, 0, 1, 1, 2, 3, 4, 3, 5, 6, 7, 8, 9, 9}, false}, "one is missing": {[]int{0, 1, 2, 4, 5, 6, 7, 8, 9}, true},
	} {
		a := analyzed(t, Options{ShowSecrets: true}, func(w *world) {
			p := ends(1883)
			send := func(seq uint32, data []byte, syn bool) {
				ip := p.ipv4(0, layers.IPProtocolTCP)
				tcp := &layers.TCP{SrcPort: layers.TCPPort(p.port[0]), DstPort: 1883, Seq: seq, SYN: syn, Window: 9}
				require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
				w.write(w.ether(0, layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(data))
			}
			send(0xfffffff0, nil, true) // the numbers wrap on the way
			for _, i := range c.order {
				if from := i * 10; from < len(connect) {
					send(0xfffffff1+uint32(from), connect[from:min(len(connect), from+10)], false)
				}
			}
		})
		if c.gap {
			assert.Empty(t, a.Credentials, name)
			continue
		}
		require.Len(t, a.Credentials, 1, name)
		assert.Equal(t, "hunter2-secret", a.Credentials[0].Secret, name)
	}
}

func TestDeviceOnly(t *testing.T) {
	write := func(w *world) {
		w.tcp(ends(80), httpTurns())
		other := ends(80)
		other.ip[0] = net.IPv4(192, 0, 2, 7).To4()
		w.mac[0] = net.HardwareAddr{2, 0, 0, 0, 0, 7}
		w.tcp(other, httpTurns())
	}
	for _, device := range []string{"192.0.2.100", "02:00:00:00:00:64"} {
		a := analyzed(t, Options{Device: device}, write)
		assert.Len(t, a.Flows, 1, device)
		assert.Equal(t, a.Capture.Packets, 2*a.Capture.Selected, device)
		assert.Equal(t, "192.0.2.100:40000", a.Flows[0].Client)
	}
	_, err := Read(t.Context(), bytes.NewReader(nil), Options{Device: "kitchen"})
	require.ErrorContains(t, err, `device "kitchen" is neither a MAC nor an IP address`)
}

// TestEveryLink reads one datagram behind each head.
func TestEveryLink(t *testing.T) {
	p, query := ends(53), []byte(nil)
	query, _ = dnsPair(t, 1, "host.example")
	b := gopacket.NewSerializeBuffer()
	ip := p.ipv4(0, layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 40000, DstPort: 53}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(query)))
	packet := b.Bytes()
	mac := []byte{2, 0, 0, 0, 0, 0x64}
	ether := append(append([]byte{2, 0, 0, 0, 0, 1}, mac...), 0x81, 0, 0, 9, 8, 0)
	sll := append(append([]byte{0, 0, 0, 1, 0, 6}, mac...), 0, 0, 8, 0)
	sll2 := append(append([]byte{8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6}, mac...), 0, 0)
	for link, head := range map[int][]byte{0: {2, 0, 0, 0}, 1: ether, 12: nil, 101: nil, 108: {0, 0, 0, 2}, 113: sll, 228: nil, 276: sll2} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, magic := range []uint32{0xa1b2c3d4, 0xa1b23c4d} {
				a, err := Read(t.Context(), bytes.NewReader(classic(order, magic, link, append(append([]byte(nil), head...), packet...))), Options{})
				require.NoError(t, err, link)
				require.Len(t, a.DNS, 1, "link %d", link)
				assert.Equal(t, "host.example", a.DNS[0].Name)
				assert.Equal(t, time.Unix(1_700_000_000, map[uint32]int64{0xa1b2c3d4: 5000, 0xa1b23c4d: 5}[magic]).UTC(), a.Capture.First)
				assert.Len(t, a.Endpoints, 2)
			}
		}
	}
	a, err := Read(t.Context(), bytes.NewReader(classic(binary.LittleEndian, 0xa1b2c3d4, 195, packet)), Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{"1 packets of link type 195 cannot be read"}, a.Notes)
}

func classic(order binary.AppendByteOrder, magic uint32, link int, frame []byte) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(order.AppendUint32(b, 65535), uint32(link))
	b = order.AppendUint32(order.AppendUint32(b, 1_700_000_000), 5)
	b = order.AppendUint32(order.AppendUint32(b, uint32(len(frame))), uint32(len(frame)))
	return append(b, frame...)
}

func TestBrokenFiles(t *testing.T) {
	path, packets := generate(t, 500)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, b, 0o600))
		return p
	}
	a, err := File(t.Context(), write("cut.pcapng", data[:len(data)-30]), Options{})
	require.NoError(t, err)
	assert.True(t, a.Capture.Truncated)
	assert.Contains(t, a.Notes[0], "the file ends in the middle of a packet")

	spoiled := bytes.Clone(data)
	copy(spoiled[len(spoiled)/2:], bytes.Repeat([]byte{0xff}, 4000))
	_, err = File(t.Context(), write("spoiled.pcapng", spoiled), Options{})
	require.ErrorContains(t, err, "spoiled.pcapng: read the capture after frame ")
	require.ErrorContains(t, err, ", at byte ")

	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(data)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	a, err = File(t.Context(), write("packed.pcapng.gz", packed.Bytes()), Options{})
	require.NoError(t, err)
	assert.EqualValues(t, packets, a.Capture.Packets)
	a, err = File(t.Context(), write("cut.gz", packed.Bytes()[:packed.Len()/2]), Options{})
	require.NoError(t, err)
	assert.True(t, a.Capture.Truncated)

	_, err = File(t.Context(), write("no.pcap", []byte("hello, I am no capture")), Options{})
	require.ErrorContains(t, err, "no.pcap")
	_, err = File(t.Context(), filepath.Join(dir, "nowhere"), Options{})
	require.ErrorIs(t, err, os.ErrNotExist)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	long, _ := generate(t, 5000)
	_, err = File(ended, long, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSeveralInterfaces(t *testing.T) {
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{Name: "eth0", LinkType: layers.LinkTypeEthernet, Filter: "ip", SnapLength: 0}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "other"}})
	require.NoError(t, err)
	raw, err := w.AddInterface(pcapgo.NgInterface{Name: "tun0", LinkType: layers.LinkTypeRaw})
	require.NoError(t, err)
	require.NoError(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(5, 0), CaptureLength: 20, Length: 90, InterfaceIndex: raw}, make([]byte, 20)))
	require.NoError(t, w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{LastUpdate: time.Unix(6, 0), PacketsReceived: 9, PacketsDropped: 3}))
	require.NoError(t, w.Flush())
	a, err := Read(t.Context(), &b, Options{})
	require.NoError(t, err)
	require.Len(t, a.Capture.Interfaces, 2)
	assert.Equal(t, Interface{Name: "eth0", Link: "Ethernet", Filter: "ip", Counted: true, Received: 9, Dropped: 3}, a.Capture.Interfaces[0])
	assert.Equal(t, []any{"tun0", "raw IP", Count(1)}, []any{a.Capture.Interfaces[1].Name, a.Capture.Interfaces[1].Link, a.Capture.Interfaces[1].Packets})
	assert.Equal(t, "other", a.Capture.Application)
	assert.Len(t, a.Notes, 2, "lost packets and a cut one: %v", a.Notes)
}

func FuzzAnalyze(f *testing.F) {
	s := newScenes(f)
	var b bytes.Buffer
	w := newWorld(f, &b)
	w.device(1, &s)
	require.NoError(f, w.w.Flush())
	data := b.Bytes()
	f.Add(data[:min(len(data), 6000)])
	f.Add(data)
	f.Add(classic(binary.BigEndian, 0xa1b2c3d4, 113, []byte("x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := Read(t.Context(), bytes.NewReader(data), Options{}); err == nil {
			if _, err := json.Marshal(a); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzPayload gives one payload to every port that somebody listens at, whole and byte by byte.
func FuzzPayload(f *testing.F) {
	for _, seed := range [][]byte{mqttTurns(5, "d", 1)[0].data, httpTurns()[0].data, httpTurns()[3].data, {0xff, 0xfa, 1}, {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}, {0x30, 0x84, 0xff, 0xff, 0xff, 0xff}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data), 400)]
		var b bytes.Buffer
		w := newWorld(t, &b)
		for i, port := range []uint16{21, 23, 53, 80, 110, 143, 443, 502, 1883, 5683} {
			p := ends(port)
			w.tcp(p, []turn{{toServer, data}, {toClient, data}})
			p.port[0] = uint16(41000 + i)
			var single []turn
			for _, c := range data[:min(len(data), 24)] {
				single = append(single, turn{toServer, []byte{c}})
			}
			w.tcp(p, single)
		}
		for _, port := range []uint16{53, 67, 123, 161, 443, 547, 1900, 5353, 5683, 5684} {
			w.udp(ends(port), 0, data)
			w.udp(ends(port), 1, data)
		}
		require.NoError(t, w.w.Flush())
		a, err := Read(t.Context(), &b, Options{ShowSecrets: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Fatal(err)
		}
	})
}
