package refdevice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A resolver asks the one name server that the network gave the device. It is the
// device's own, so that no file of the host it runs on has a say.
type resolver struct {
	server netip.AddrPort // invalid: the network has none
}

const (
	dnsTimeout = time.Second
	dnsTries   = 3
)

// lookup returns the IPv4 addresses of a name; an address is its own answer.
func (r resolver) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if !r.server.IsValid() {
		return nil, fmt.Errorf("look up %s: the network has no name server", host)
	}
	q := new(dns.Msg).SetQuestion(dns.Fqdn(host), dns.TypeA)
	client := &dns.Client{Net: "udp", Timeout: dnsTimeout}
	var last error
	for range dnsTries {
		m, _, err := client.ExchangeContext(ctx, q, r.server.String())
		if err != nil {
			last = err
			if ctx.Err() != nil {
				break
			}
			continue
		}
		return answers(m, host)
	}
	return nil, fmt.Errorf("look up %s: %w", host, last)
}

// answers takes the address records; the server has followed every CNAME.
func answers(m *dns.Msg, host string) ([]netip.Addr, error) {
	if m.Rcode != dns.RcodeSuccess {
		return nil, fmt.Errorf("look up %s: the name server answers %s", host, dns.RcodeToString[m.Rcode])
	}
	var found []netip.Addr
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			if ip, ok := netip.AddrFromSlice(a.A); ok {
				found = append(found, ip.Unmap())
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("look up %s: no address", host)
	}
	return found, nil
}

// dial connects to host:port, asking the resolver for the host.
func (r resolver) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	found, err := r.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var all []error
	d := net.Dialer{Timeout: 5 * time.Second}
	for _, a := range found[:min(len(found), 4)] {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		all = append(all, err)
	}
	return nil, errors.Join(all...)
}

// hostName makes a name fit for DHCP option 12 (RFC 1035 section 2.3.1: letters, digits, hyphens, at most 63).
func hostName(name string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		default:
			return '-'
		}
	}, name)
	return strings.Trim(mapped[:min(len(mapped), 63)], "-")
}
