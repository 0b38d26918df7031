package analyze

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// scratch holds decoders that are used again for each packet.
type scratch struct {
	dns layers.DNS
}

type dnsKey struct{ name, kind, protocol string }

const (
	maxAnswers = 32
	maxEnds    = 16
)

// decode lets a decoder of the library read. It panics on some malformed packets: that is malformed, no more.
func decode(read func([]byte, gopacket.DecodeFeedback) error, b []byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return read(b, gopacket.NilDecodeFeedback) == nil
}

// A dnsTalk reads DNS over TCP: a length goes before each message (RFC 1035, section 4.2.2).
type dnsTalk struct{}

func (*dnsTalk) lost(int)             {}
func (*dnsTalk) end(*analyzer, *flow) {}

func (*dnsTalk) take(a *analyzer, f *flow, dir int, b []byte) int {
	if len(b) < 2 {
		return 0
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return 0
	}
	a.dnsMessage(f, dir, b[2:n], "DNS")
	return n
}

func (a *analyzer) dnsMessage(f *flow, dir int, b []byte, protocol string) {
	d := &a.scratch.dns
	if !decode(d.DecodeFromBytes, b) {
		*a.total("dns malformed")++
		return
	}
	if d.QR {
		*a.total("dns responses")++
	} else {
		*a.total("dns queries")++
	}
	from, to := f.ends[dir].Addr(), f.ends[1-dir].Addr()
	for i := range d.Questions[:min(len(d.Questions), maxAnswers)] {
		q := &d.Questions[i]
		n := a.dnsName(string(q.Name), q.Type, protocol)
		if n == nil {
			continue
		}
		if d.QR {
			n.Code = lower(d.ResponseCode.String())
			n.Servers = among(n.Servers, from)
			for j := range d.Answers[:min(len(d.Answers), maxAnswers)] {
				if text := answer(&d.Answers[j]); len(n.Answers) < maxAnswers && !slices.Contains(n.Answers, text) {
					n.Answers = append(n.Answers, text)
				}
			}
			continue
		}
		n.Queries++
		n.Clients, n.Servers = among(n.Clients, from), among(n.Servers, to)
	}
	if d.QR {
		a.dnsAnswers(d, protocol)
	}
}

// dnsAnswers takes addresses into the name table; mDNS says them unasked.
func (a *analyzer) dnsAnswers(d *layers.DNS, protocol string) {
	records := d.Answers
	if protocol != "DNS" {
		records = append(slices.Clip(records), d.Additionals...)
	}
	for i := range records[:min(len(records), 2*maxAnswers)] {
		r := &records[i]
		if addr, ok := netip.AddrFromSlice(r.IP); ok && (r.Type == layers.DNSTypeA || r.Type == layers.DNSTypeAAAA) {
			name := string(r.Name)
			if len(d.Questions) > 0 && r.Type == d.Questions[0].Type {
				name = string(d.Questions[0].Name) // through CNAMEs, what was asked for
			}
			a.names.add(a, clean(name), addr.Unmap(), protocol)
		}
		if protocol != "DNS" && len(d.Questions) == 0 {
			if n := a.dnsName(string(r.Name), r.Type, protocol); n != nil {
				n.Code = "announced"
				if text := answer(r); len(n.Answers) < maxAnswers && !slices.Contains(n.Answers, text) {
					n.Answers = append(n.Answers, text)
				}
			}
		}
	}
}

func (a *analyzer) dnsName(name string, kind layers.DNSType, protocol string) *DNSName {
	key := dnsKey{name, dnsType(kind), protocol}
	n := a.dns[key]
	if n == nil {
		if !a.room(len(a.dns), "DNS names") {
			return nil
		}
		n = &DNSName{Name: clean(name), Type: key.kind, Protocol: protocol, Answers: []string{}, Clients: []string{}, Servers: []string{}, Frame: a.frame.Number}
		a.dns[key] = n
	}
	return n
}

func dnsType(kind layers.DNSType) string {
	switch kind {
	case layers.DNSTypeA:
		return "A"
	case layers.DNSTypeAAAA:
		return "AAAA"
	case layers.DNSTypePTR:
		return "PTR"
	case 65:
		return "HTTPS"
	case 255:
		return "ANY"
	}
	if text := kind.String(); text != "Unknown" {
		return text
	}
	return fmt.Sprintf("TYPE%d", kind)
}

func answer(r *layers.DNSResourceRecord) string {
	switch r.Type {
	case layers.DNSTypeA, layers.DNSTypeAAAA:
		return r.IP.String()
	case layers.DNSTypeCNAME:
		return clean(r.CNAME)
	case layers.DNSTypePTR:
		return clean(r.PTR)
	case layers.DNSTypeNS:
		return clean(r.NS)
	case layers.DNSTypeSRV:
		return fmt.Sprintf("%s:%d", clean(r.SRV.Name), r.SRV.Port)
	case layers.DNSTypeMX:
		return clean(r.MX.Name)
	case layers.DNSTypeTXT:
		var parts []string
		for _, t := range r.TXTs[:min(len(r.TXTs), 8)] {
			parts = append(parts, clean(t))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprintf("%s, %d bytes", dnsType(r.Type), len(r.Data))
}

// among adds an address to a short list.
func among(list []string, addr netip.Addr) []string {
	if text := addr.String(); len(list) < maxEnds && !slices.Contains(list, text) {
		return append(list, text)
	}
	return list
}
