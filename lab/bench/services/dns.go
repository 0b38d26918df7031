package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	maxQueries = 4096 // kept for the record; older ones make room
	dnsTTL     = 5    // seconds: short, so that what a device remembers does not outlive a restart
	dnsConns   = 32

	dnsForwards = 16
	dnsPatience = 3 * time.Second
)

// DNSOptions says which names exist.
type DNSOptions struct {
	Hosts    []string // answered with Address; every other name does not exist
	Lie      []string // answered with Address as well; "*.example" is every name below example, "*" every name
	Address  netip.Addr
	Address6 netip.Addr              // the same over IPv6; not valid: none
	Pinned   map[string][]netip.Addr // names with addresses of their own, such as those that an uplink leads to
	Upstream string                  // address:port of a name server that is asked for every other name; empty: nobody is
	Now      func() time.Time
	Log      func(string)
}

// A Query is one question that was asked. Name is the client's own word and is never logged.
type Query struct {
	At    time.Time
	From  string
	Name  string
	Type  string
	Known bool
}

// DNS is the segment's name server.
type DNS struct {
	o       DNSOptions
	hosts   map[string]bool
	pinned  map[string][]netip.Addr
	lies    []string // suffixes
	forward chan struct{}
	servers []*dns.Server
	ended   sync.WaitGroup

	received, answered, dropped atomic.Uint64

	mu      sync.Mutex // guards the rest
	queries []Query
	asked   map[string]bool // known hosts that were asked for, so that each is logged once
}

// StartDNS answers on conn and, where l is not nil, over TCP. Both are closed by Close.
func StartDNS(ctx context.Context, conn net.PacketConn, l net.Listener, o DNSOptions) (*DNS, error) {
	d := &DNS{o: o, hosts: map[string]bool{}, asked: map[string]bool{}, pinned: map[string][]netip.Addr{}, forward: make(chan struct{}, dnsForwards)}
	for _, h := range slices.Concat(o.Hosts, o.Lie) {
		name := strings.ToLower(dns.Fqdn(h))
		if suffix, is := strings.CutPrefix(name, "*"); is {
			d.lies = append(d.lies, suffix)
			continue
		}
		d.hosts[name] = true
	}
	for h, at := range o.Pinned {
		d.pinned[strings.ToLower(dns.Fqdn(h))] = at
	}
	d.servers = append(d.servers, d.server(&dns.Server{PacketConn: conn}))
	if l != nil {
		d.servers = append(d.servers, d.server(&dns.Server{Listener: bound(l, dnsConns)}))
	}
	for _, s := range d.servers {
		if err := d.start(ctx, s); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

func (d *DNS) server(s *dns.Server) *dns.Server {
	s.Handler = dns.HandlerFunc(d.handle)
	s.ReadTimeout, s.WriteTimeout = 5*time.Second, 5*time.Second
	s.IdleTimeout = func() time.Duration { return 10 * time.Second }
	s.MsgInvalidFunc = func([]byte, error) { d.received.Add(1); d.dropped.Add(1) }
	return s
}

func (d *DNS) start(ctx context.Context, s *dns.Server) error {
	up, failed := make(chan struct{}), make(chan error, 1)
	s.NotifyStartedFunc = func() { close(up) }
	d.ended.Go(func() { failed <- s.ActivateAndServe() })
	select {
	case <-up:
		return nil
	case err := <-failed:
		return fmt.Errorf("start dns: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("start dns: %w", ctx.Err())
	}
}

func (d *DNS) handle(w dns.ResponseWriter, q *dns.Msg) {
	d.received.Add(1)
	reply := new(dns.Msg)
	if len(q.Question) != 1 || q.Opcode != dns.OpcodeQuery {
		reply.SetRcode(q, dns.RcodeFormatError)
		d.dropped.Add(1)
		_ = w.WriteMsg(reply)
		return
	}
	question := q.Question[0]
	at, known := d.find(strings.ToLower(question.Name))
	d.record(w.RemoteAddr(), question, known)
	reply.SetReply(q)
	reply.Authoritative, reply.RecursionAvailable = true, true
	switch {
	case !known && d.o.Upstream != "":
		reply = d.ask(q, reply)
	case !known:
		reply.Rcode = dns.RcodeNameError
	case question.Qclass == dns.ClassINET:
		reply.Answer = addresses(question, at)
	}
	if err := w.WriteMsg(reply); err == nil {
		d.answered.Add(1)
	}
}

// find tells whether this server knows a name itself, and its addresses.
func (d *DNS) find(name string) ([]netip.Addr, bool) {
	if at, is := d.pinned[name]; is {
		return at, true
	}
	lied := slices.ContainsFunc(d.lies, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
	at := []netip.Addr{d.o.Address}
	if d.o.Address6.IsValid() {
		at = append(at, d.o.Address6)
	}
	return at, lied || d.hosts[name]
}

// addresses answers a question for the kind of addresses that it asks for.
func addresses(q dns.Question, at []netip.Addr) []dns.RR {
	var out []dns.RR
	for _, a := range at {
		switch {
		case q.Qtype == dns.TypeA && a.Is4():
			out = append(out, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: dnsTTL}, A: a.AsSlice()})
		case q.Qtype == dns.TypeAAAA && a.Is6():
			out = append(out, &dns.AAAA{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: dnsTTL}, AAAA: a.AsSlice()})
		}
	}
	return out
}

// ask passes a question on. Only so many are on their way at once: one more is told to try again.
func (d *DNS) ask(q, reply *dns.Msg) *dns.Msg {
	reply.Rcode = dns.RcodeServerFailure
	select {
	case d.forward <- struct{}{}:
	default:
		return reply
	}
	defer func() { <-d.forward }()
	// A question of our own making: nothing else of the device's datagram leaves the segment.
	own := new(dns.Msg)
	own.SetQuestion(q.Question[0].Name, q.Question[0].Qtype)
	c := dns.Client{Timeout: dnsPatience}
	got, _, err := c.Exchange(own, d.o.Upstream)
	if err != nil {
		return reply
	}
	reply.Rcode, reply.Answer, reply.Authoritative, reply.Truncated = got.Rcode, got.Answer, false, got.Truncated
	return reply
}

func (d *DNS) record(from net.Addr, q dns.Question, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queries) >= maxQueries {
		d.queries = append(d.queries[:0], d.queries[1:]...)
	}
	d.queries = append(d.queries, Query{
		At: d.o.Now(), From: from.String(), Name: strings.TrimSuffix(q.Name, "."), Type: dns.TypeToString[q.Qtype], Known: known,
	})
	name := strings.ToLower(q.Name)
	if known && !d.asked[name] && d.o.Log != nil {
		d.o.Log("dns: somebody asks for " + strings.TrimSuffix(name, "."))
		d.asked[name] = true
	}
}

// Queries lists what was asked so far, the oldest first.
func (d *DNS) Queries() []Query {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Query(nil), d.queries...)
}

// Counts tells what it met.
func (d *DNS) Counts() Counts {
	return Counts{Received: d.received.Load(), Answered: d.answered.Load(), Dropped: d.dropped.Load()}
}

// Close ends the service.
func (d *DNS) Close() error {
	for _, s := range d.servers {
		// The sockets are closed by hand as well: Shutdown refuses a server that never started.
		_ = s.Shutdown()
		if s.PacketConn != nil {
			_ = s.PacketConn.Close()
		}
		if s.Listener != nil {
			_ = s.Listener.Close()
		}
	}
	d.ended.Wait()
	return nil
}
