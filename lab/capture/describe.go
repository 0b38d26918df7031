package capture

import (
	"assay/lab/capture/wire"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Line describes one frame for people. Its texts hold printable characters only, and never a
// payload: no password, key or planted value can get into a report this way, unless the device
// put it into a name that has to be shown (a DNS name, an MQTT topic, a path).
type Line struct {
	Frame       uint64    `json:"frame"`
	At          time.Time `json:"at"`
	Source      string    `json:"source"`      // e.g. "192.0.2.100:49152"
	Destination string    `json:"destination"` // e.g. "192.0.2.1:8883"
	Protocol    string    `json:"protocol"`    // e.g. "TLS"
	Info        string    `json:"info"`        // e.g. "client hello for cloud.example"
	Length      int       `json:"length"`      // bytes on the wire
	Comment     string    `json:"comment,omitempty"`
}

const (
	defaultLines = 1000
	maxText      = 120
	maxStory     = 1024
)

// Describe describes the frames first to last of a capture file, at most limit of them (0: 1000).
// last 0 is the end of the file; a file that is cut or still being written ends at its last whole block.
func Describe(path string, first, last uint64, limit int) ([]Line, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	defer func() { _ = file.Close() }()
	return DescribeFrom(file, first, last, limit)
}

// DescribeFrom is Describe over a stream, such as a capture inside a sealed file.
func DescribeFrom(in io.Reader, first, last uint64, limit int) ([]Line, error) {
	first = max(first, 1)
	if last != 0 && last < first {
		return nil, fmt.Errorf("describe frames %d to %d: they are in the wrong order", first, last)
	}
	if limit <= 0 {
		limit = defaultLines
	}
	var lines []Line
	r, err := NewReader(in)
	if err == nil {
		err = r.frames(first, last, func(f Frame) bool {
			lines = append(lines, describe(f))
			return len(lines) < limit
		})
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrCut) {
		return lines, fmt.Errorf("describe frames %d to %d: %w", first, last, err)
	}
	return lines, nil
}

// describe reads one frame, as far as it can be read.
func describe(f Frame) Line {
	l := Line{Frame: f.Number, At: f.At, Length: f.Original, Comment: Printable(strings.Join(f.Comments, "; "), maxStory)}
	var p wire.Packet
	if !p.Parse(f.Link, f.Data) && !p.Addressed && p.Ether == 0 {
		l.Protocol, l.Info = "link "+strconv.Itoa(f.Link), fmt.Sprintf("%d bytes", len(f.Data))
		return l
	}
	l.Source, l.Destination = names(&p)
	l.Protocol, l.Info = story(&p)
	if len(f.Data) < f.Original {
		l.Info += fmt.Sprintf(" (cut to %d bytes)", len(f.Data))
	}
	l.Info = Printable(l.Info, 2*maxText)
	return l
}

// names tells the ends by the highest address known.
func names(p *wire.Packet) (from, to string) {
	switch {
	case p.Ports:
		return netip.AddrPortFrom(p.From, p.SourcePort).String(), netip.AddrPortFrom(p.To, p.DestinationPort).String()
	case p.From.IsValid():
		return p.From.String(), p.To.String()
	}
	return net.HardwareAddr(p.Source[:]).String(), net.HardwareAddr(p.Destination[:]).String()
}

// story tells protocol and contents.
func story(p *wire.Packet) (protocol, info string) {
	switch {
	case p.Fragment != nil:
		return "IP fragment", fmt.Sprintf("%d bytes at %d of datagram %#x", len(p.Payload), p.Fragment.Offset, p.Fragment.ID)
	case p.Ports && p.Proto == wire.ProtoTCP:
		return tcpStory(p)
	case p.Ports:
		return udpStory(p)
	case p.Ether == wire.EtherARP:
		return arpStory(p.Payload)
	case p.From.IsValid() && p.Proto == wire.ProtoICMP:
		return icmpStory(p.Payload)
	case p.From.IsValid() && p.Proto == wire.ProtoICMP6:
		return icmp6Story(p.Payload)
	case p.From.IsValid():
		return "IP", fmt.Sprintf("protocol %d, %d bytes", p.Proto, len(p.Payload))
	case p.Ether >= 0x600: // below it is a length (IEEE 802.3)
		return "Ethernet", fmt.Sprintf("type %#04x, %d bytes", p.Ether, len(p.Payload))
	}
	return "Ethernet", fmt.Sprintf("%d bytes", len(p.Payload))
}

func tcpStory(p *wire.Packet) (string, string) {
	for _, recognise := range []func(*wire.Packet) (string, string){tlsStory, httpStory, mqttStory, dnsStory, coapStreamStory} {
		if protocol, info := recognise(p); protocol != "" {
			return protocol, info
		}
	}
	var set []string
	for i, name := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"} {
		if p.Flags&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	info := strings.Join(set, " ")
	if n := len(p.Payload); n > 0 {
		info += fmt.Sprintf(", %d bytes", n)
	}
	return "TCP", info
}

func udpStory(p *wire.Packet) (string, string) {
	for _, recognise := range []func(*wire.Packet) (string, string){dhcpStory, dhcp6Story, dtlsStory, dnsStory, ntpStory, coapStory} {
		if protocol, info := recognise(p); protocol != "" {
			return protocol, info
		}
	}
	return "UDP", fmt.Sprintf("%d bytes", len(p.Payload))
}

// Printable makes a device's text safe for a terminal and a page.
func Printable(text string, limit int) string {
	var b strings.Builder
	for _, c := range text {
		if b.Len() >= limit {
			b.WriteString("...")
			break
		}
		if c < ' ' || c == utf8.RuneError || c >= 0x7f && !strconv.IsPrint(c) {
			c = '.'
		}
		b.WriteRune(c)
	}
	return b.String()
}
