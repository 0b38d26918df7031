// Package analyze tells what a capture holds: who talked to whom, over which protocols, what went in clear,
// and what of encrypted conversations can be seen from outside. It reads anybody's pcap or pcapng once, from
// front to back, in bounded memory, and tells what it had to leave out. It never judges and never dials.
package analyze

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"assay/lab/capture"
	"assay/lab/capture/wire"
)

// Options say what to look at.
type Options struct {
	Device      string           // only frames of this MAC or IP address; "" is all
	ShowSecrets bool             // secrets are told whole, not masked
	Progress    func(read int64) // called now and then with the bytes of the file read
}

// progressEvery is how many packets go by between looks at the context.
const progressEvery = 4096

// File analyzes a capture file; gzip is unpacked on the way.
func File(ctx context.Context, path string, o Options) (*Analysis, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	defer func() { _ = file.Close() }()
	a, err := Read(ctx, file, o)
	if a != nil {
		a.File = path
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// Read analyzes a capture. A truncated one is analyzed to its last whole packet and says so; a corrupt one
// is an error that names the frame and the byte.
func Read(ctx context.Context, in io.Reader, o Options) (*Analysis, error) {
	an, err := newAnalyzer(o)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(obedient{ctx, in}, 64<<10)
	in = buffered
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		if in, err = gzip.NewReader(buffered); err != nil {
			return nil, fmt.Errorf("unpack the capture: %w", err)
		}
	}
	r, err := capture.NewReader(in)
	if err != nil {
		return nil, err
	}
	for {
		f, err := r.Next()
		if errors.Is(err, capture.ErrCut) || errors.Is(err, io.ErrUnexpectedEOF) {
			an.capture.Truncated = true
			an.note("the file ends in the middle of a packet, after frame %d: it was cut, or is still being written", an.frame.Number)
			break
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		an.current = f
		an.see(&an.current)
		if f.Number%progressEvery == 0 {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("analyze the capture, at frame %d: %w", f.Number, ctx.Err())
			}
			if o.Progress != nil {
				o.Progress(r.Offset())
			}
		}
	}
	return an.result(r), nil
}

// obedient stops reading when the context ends.
type obedient struct {
	ctx context.Context
	in  io.Reader
}

func (o obedient) Read(b []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	return o.in.Read(b)
}

// An analyzer is one pass over a capture.
type analyzer struct {
	options Options
	mac     net.HardwareAddr
	ip      netip.Addr

	frame   *capture.Frame // the one being read
	current capture.Frame
	packet  wire.Packet
	scratch scratch

	capture    Capture
	perLink    []Count // packets by interface
	links      map[int]Count
	notes      []string
	flows      flowTable
	endpoints  endpoints
	spare      [][]byte // buffers of streams that need none any more
	held       int      // bytes in streams that wait for more
	texts      int      // bytes of topics and filters kept
	fragments  fragments
	totals     map[string]*Count
	protocols  map[string]*Protocol
	clear      map[pairKey]*ClearText
	services   map[serviceKey]*service
	attempts   map[attemptKey]*Attempts
	names      names
	dns        map[dnsKey]*DNSName
	dhcp       map[[6]byte]*DHCPClient
	others     map[messageKey]*Message
	coap       map[coapKey]*coapTalk
	secrets    map[credentialKey]*Credential
	certified  map[[32]byte]Certificate
	tls        list[*TLSSession]
	mqtt       list[*MQTTSession]
	exchanges  list[*CoAPExchange]
	http       list[*HTTPExchange]
	overflowed map[string]Count // what did not fit, by what it is
}

func newAnalyzer(o Options) (*analyzer, error) {
	a := &analyzer{
		options: o, frame: &capture.Frame{},
		links: map[int]Count{}, totals: map[string]*Count{}, protocols: map[string]*Protocol{},
		clear: map[pairKey]*ClearText{}, services: map[serviceKey]*service{}, attempts: map[attemptKey]*Attempts{}, names: names{known: map[nameKey]*Name{}},
		dns: map[dnsKey]*DNSName{}, dhcp: map[[6]byte]*DHCPClient{}, others: map[messageKey]*Message{},
		coap: map[coapKey]*coapTalk{}, secrets: map[credentialKey]*Credential{}, overflowed: map[string]Count{}, certified: map[[32]byte]Certificate{},
	}
	a.flows.init()
	a.endpoints.init()
	if o.Device == "" {
		return a, nil
	}
	var err error
	if a.ip, err = netip.ParseAddr(o.Device); err == nil {
		a.ip = a.ip.Unmap()
		return a, nil
	}
	if a.mac, err = net.ParseMAC(o.Device); err != nil || len(a.mac) != 6 {
		return nil, fmt.Errorf("device %q is neither a MAC nor an IP address", o.Device)
	}
	return a, nil
}

func (a *analyzer) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// total is a counter that stays.
func (a *analyzer) total(name string) *Count {
	n := a.totals[name]
	if n == nil {
		n = new(Count)
		a.totals[name] = n
	}
	return n
}

// see takes one frame.
func (a *analyzer) see(f *capture.Frame) {
	a.frame = f
	c := &a.capture
	c.Packets++
	c.Bytes += Count(f.Original)
	if !f.At.IsZero() {
		if c.First.IsZero() || f.At.Before(c.First) {
			c.First = f.At
		}
		if f.At.After(c.Last) {
			c.Last = f.At
		}
	}
	for f.Interface >= len(a.perLink) {
		a.perLink = append(a.perLink, 0)
	}
	a.perLink[f.Interface]++
	if len(f.Comments) > 0 {
		c.Commented++
	}
	if len(f.Data) < f.Original {
		c.CutPackets++
	}
	p := &a.packet
	whole := p.Parse(f.Link, f.Data)
	if !a.selected(p) {
		return
	}
	c.Selected++
	a.dispatch(p, whole)
}

// selected tells whether a packet is the device's.
func (a *analyzer) selected(p *wire.Packet) bool {
	switch {
	case a.ip.IsValid() && p.Ether == wire.EtherARP:
		from, to, ok := wire.ARPAddresses(p.Payload)
		return ok && (from == a.ip || to == a.ip)
	case a.ip.IsValid():
		return p.From == a.ip || p.To == a.ip
	case a.mac != nil:
		return p.Addressed && (string(p.Source[:]) == string(a.mac) || string(p.Destination[:]) == string(a.mac))
	}
	return true
}

// dispatch hands a packet to what knows it.
func (a *analyzer) dispatch(p *wire.Packet, whole bool) {
	switch {
	case p.Fragment != nil:
		a.count("IP fragment", a.frame.Original)
		if a.fragments.gather(p) {
			a.dispatch(p, p.Ports)
		}
	case p.Ports:
		a.converse(p)
	case p.Ether == wire.EtherARP:
		a.arp(p)
	case p.From.IsValid() && (p.Proto == wire.ProtoICMP || p.Proto == wire.ProtoICMP6):
		a.icmp(p)
	case p.From.IsValid():
		a.endpoints.talk(a, p.From, p.To)
		name := fmt.Sprintf("IP protocol %d", p.Proto)
		a.count(name, a.frame.Original)
		a.message(name, p.From.String(), p.To.String(), "")
	case p.Addressed && p.Ether >= 0x600: // below it is a length (IEEE 802.3)
		name := fmt.Sprintf("Ethernet %#04x", p.Ether)
		a.count(name, a.frame.Original)
		a.message(name, net.HardwareAddr(p.Source[:]).String(), net.HardwareAddr(p.Destination[:]).String(), "")
	case p.Addressed:
		a.count("Ethernet", a.frame.Original)
	default:
		a.capture.Undecoded++
		if !whole && wire.LinkName(a.frame.Link) == "" && (len(a.links) < 64 || a.links[a.frame.Link] > 0) {
			a.links[a.frame.Link]++
		}
	}
}

// count counts a packet that belongs to no flow.
func (a *analyzer) count(name string, bytes int) {
	p := a.protocol(name, false)
	p.Packets++
	p.Bytes += Count(bytes)
}

func (a *analyzer) protocol(name string, encrypted bool) *Protocol {
	p := a.protocols[name]
	if p == nil {
		if len(a.protocols) >= maxProtocols {
			name = "other"
			if p = a.protocols[name]; p != nil {
				return p
			}
		}
		p = &Protocol{Name: name, Encrypted: encrypted}
		a.protocols[name] = p
	}
	return p
}

// The limits of what is kept. What does not fit is counted and told.
const (
	maxFlows      = 1 << 15 // live at a time
	maxListed     = 4096    // of each list in the result
	maxKeyed      = 4096    // of each table
	maxEndpoints  = 1 << 14
	maxProtocols  = 512
	maxTopics     = 256 // of one MQTT session
	maxHeldStream = 128 << 10
	maxHeld       = 32 << 20 // in all streams together
	maxText       = 200
)

// A list keeps the first so many.
type list[T any] struct{ items []T }

func (l *list[T]) add(a *analyzer, what string, item T) {
	if len(l.items) == maxListed {
		a.overflowed[what]++
		return
	}
	l.items = append(l.items, item)
}

// room tells whether a table may take one more.
func (a *analyzer) room(size int, what string) bool {
	if size >= maxKeyed {
		a.overflowed[what]++
		return false
	}
	return true
}

func clean[T string | []byte](text T) string { return capture.Printable(string(text), maxText) }

func lower[T string | []byte](text T) string { return strings.ToLower(clean(text)) }
