package capture

import (
	"assay/lab/capture/wire"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clientHello is a minimal client hello in a TLS record, with the name of a host.
func clientHello(host string) []byte {
	name := append([]byte{0, 0, 0, byte(len(host) + 5), 0, byte(len(host) + 3), 0, 0, byte(len(host))}, host...)
	extensions := append([]byte{0, 23, 0, 0}, name...)
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0, 0, byte(len(extensions)))
	body = append(body, extensions...)
	message := append([]byte{1, 0, 0, byte(len(body))}, body...)
	return append([]byte{22, 3, 1, 0, byte(len(message))}, message...)
}

func dtlsRecord(kind byte, epoch byte, body []byte) []byte {
	return append([]byte{kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0, byte(len(body))}, body...)
}

func dnsMessage(t testing.TB, answer bool) []byte {
	t.Helper()
	d := &layers.DNS{ID: 1, QR: answer, Questions: []layers.DNSQuestion{{Name: []byte("cloud.example"), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	if answer {
		d.Answers = []layers.DNSResourceRecord{{Name: []byte("cloud.example"), Type: layers.DNSTypeA, Class: layers.DNSClassIN, IP: benchIP}}
	}
	return build(t, d)
}

func dhcpMessage(t testing.TB) []byte {
	t.Helper()
	return build(t, &layers.DHCPv4{
		Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, ClientHWAddr: deviceMAC,
		Options: layers.DHCPOptions{
			layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeDiscover)}),
			layers.NewDHCPOption(layers.DHCPOptHostname, []byte("planted-canary")),
		},
	})
}

type described struct{ protocol, info string }

// conversations are one frame of each kind with the line it should make.
func conversations(t testing.TB) map[described][]byte {
	t.Helper()
	tcp := func(dport uint16, payload string) []byte { return tcpFrame(t, 40000, dport, 1, false, []byte(payload)) }
	udp := func(dport uint16, payload []byte) []byte { return udpFrame(t, 40000, dport, payload) }
	return map[described][]byte{
		{"ARP", "who has 192.0.2.1? tell 192.0.2.100"}:                 arpFrame(t),
		{"DHCP", "discover"}:                                           udpFrame(t, 68, 67, dhcpMessage(t)),
		{"DNS", "asks A cloud.example"}:                                udp(53, dnsMessage(t, false)),
		{"DNS", "answers A cloud.example, is 192.0.2.1"}:               udp(53, dnsMessage(t, true)),
		{"mDNS", "asks A cloud.example"}:                               udp(5353, dnsMessage(t, false)),
		{"NTP", "version 4, client"}:                                   udp(123, append([]byte{0x23}, make([]byte, 47)...)),
		{"TLS", "client hello for cloud.example"}:                      tcp(8883, string(clientHello("cloud.example"))),
		{"TLS", "alert: unknown ca"}:                                   tcp(8883, "\x15\x03\x03\x00\x02\x02\x30"),
		{"TLS", "application data, 300 bytes"}:                         tcp(40001, "\x17\x03\x03\x01\x2c..."),
		{"DTLS", "client hello"}:                                       udp(5684, dtlsRecord(22, 0, append([]byte{1, 0, 0, 1}, make([]byte, 9)...))),
		{"DTLS", "encrypted handshake"}:                                udp(5684, dtlsRecord(22, 1, []byte("finished, sealed"))),
		{"DTLS", "application data, 6 bytes"}:                          udp(40001, dtlsRecord(23, 1, []byte("sealed"))),
		{"HTTP", "GET /api/health?..."}:                                tcp(8080, "GET /api/health?token=secret HTTP/1.1\r\nHost: x\r\n\r\n"),
		{"HTTP", "401 Unauthorized"}:                                   tcp(8080, "HTTP/1.1 401 Unauthorized\r\n\r\n"),
		{"MQTT", `connect as "t100", version 4`}:                       tcp(40001, "\x10\x1b\x00\x04MQTT\x04\xc2\x00\x3c\x00\x04t100\x00\x01u\x00\x06secret"),
		{"MQTT", "publish home/note, 6 bytes, retained, ping request"}: tcp(1883, "\x31\x11\x00\x09home/notesecret\xc0\x00"),
		{"MQTT", "subscribe home/#"}:                                   tcp(1883, "\x82\x0b\x00\x01\x00\x06home/#\x00"),
		{"MQTT", "connack, code 5"}:                                    tcp(1883, "\x20\x02\x00\x05"),
		{"CoAP", "con GET /fw/image, block 3"}:                         udp(5683, []byte("\x40\x01\x00\x01\xb2fw\x05image\xc1\x32")),
		{"CoAP", "ack 2.05"}:                                           udp(5683, []byte("\x61\x45\x00\x01\x07\xffsecret")),
		{"CoAP", "7.01 csm, PUT /fw, block 2"}:                         tcp(5683, "\x30\xe1\x22\x10\x00\xd1\x00\x03\x07\xb2fw\xd1\x03\x2e\xffsecret"),
		{"CoAP", "2.05"}:                                               tcp(5683, "\x71\x45\x07\xffsecret"),
		{"CoAP", "7.01 csm"}:                                           tcp(40001, "\x30\xe1\x22\x10\x00"),
		{"UDP", "6 bytes"}:                                             udp(40001, []byte("secret")),
		{"TCP", "ACK, 6 bytes"}:                                        tcp(40001, "secret"),
		{"TCP", "SYN ACK"}:                                             tcpFrame(t, 1, 2, 3, true, nil),
		{"ICMP", "EchoRequest"}: build(t, ether(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}, gopacket.Payload("secret")),
		{"IP fragment", "16 bytes at 16 of datagram 0x9"}: fragments(t, 9, layers.IPProtocolUDP, make([]byte, 40), 16)[1],
		{"Ethernet", "type 0x88cc, 46 bytes"}:             build(t, ether(layers.EthernetType(0x88cc)), gopacket.Payload("secret")),
		{"link 113", "6 bytes"}:                           nil,
	}
}

func TestDescribe(t *testing.T) {
	for want, data := range conversations(t) {
		f := Frame{Data: data, Original: len(data), Link: wire.LinkEthernet}
		if data == nil {
			f = Frame{Data: []byte("secret"), Original: 6, Link: 113}
		}
		l := describe(f)
		assert.Equal(t, want, described{l.Protocol, l.Info})
		assert.NotContains(t, l.Info, "secret")
		assert.NotContains(t, l.Info, "canary")
	}
	l := describe(Frame{Data: udp6Frame(t, []byte("x")), Original: 300, Link: wire.LinkEthernet})
	assert.Equal(t, "[2001:db8::100]:4000", l.Source)
	assert.Equal(t, "[2001:db8::1]:4001", l.Destination)
	assert.Contains(t, l.Info, "cut to 63 bytes")
	hostile := describe(Frame{Data: tcpFrame(t, 1, 80, 1, false, []byte("GET /\x1b]0;x\x07\u202e\xff HTTP/1.1\r\n")), Link: wire.LinkEthernet})
	assert.Equal(t, "GET /.]0;x...", hostile.Info)
}

func TestDescribeRange(t *testing.T) {
	path := file(t, samples(t)...)
	for _, c := range []struct {
		first, last uint64
		limit       int
		want        []uint64
	}{
		{0, 0, 0, []uint64{1, 2, 3, 4, 5}},
		{2, 3, 0, []uint64{2, 3}},
		{4, 0, 0, []uint64{4, 5}},
		{1, 5, 2, []uint64{1, 2}},
		{9, 20, 0, nil},
	} {
		lines, err := Describe(path, c.first, c.last, c.limit)
		require.NoError(t, err)
		var got []uint64
		for _, l := range lines {
			got = append(got, l.Frame)
		}
		assert.Equal(t, c.want, got)
	}
	_, err := Describe(path, 3, 2, 0)
	require.ErrorContains(t, err, "wrong order")
	_, err = Describe(filepath.Join(t.TempDir(), "none"), 1, 0, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, []byte("this is not a capture"), 0o600))
	_, err = Describe(bad, 1, 0, 0)
	require.ErrorContains(t, err, "neither pcapng nor pcap")
}

func FuzzDescribe(f *testing.F) {
	for _, data := range conversations(f) {
		f.Add(data, 1)
	}
	f.Add(dnsMessage(f, true), 113)
	f.Fuzz(func(t *testing.T, data []byte, kind int) {
		l := describe(Frame{Number: 1, Data: data, Original: len(data), Link: kind, Comments: []string{string(data)}})
		for _, s := range []string{l.Source, l.Destination, l.Protocol, l.Info, l.Comment} {
			if len(s) > 2*maxStory || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x07\x08\x1b\n\r\x7f") {
				t.Fatalf("not fit to print: %q", s)
			}
		}
		if l.Protocol == "" {
			t.Fatal("a frame without a name")
		}
	})
}
