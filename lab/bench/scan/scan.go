// Package scan knocks at the ports of one device and tells which answer, and in what
// protocol. It knows no dossier, tries no credential, and sends nothing to anybody
// but the address it was made for.
package scan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"assay/probes"
)

// A Scanner is for one device.
type Scanner struct {
	Target   netip.Addr
	Controls []int // TCP ports that are believed to answer, the likeliest first
	// Witness is another address of the same device: where no port of Target answers, as behind a firewall for IPv6,
	// one of its ports shows meanwhile that the device and the link are up.
	Witness  netip.Addr
	UDP      []Socket // UDP ports to ask beside the well-known ones
	Rate     int      // TCP ports a second where the request names no rate
	Patience Patience // zero: the usual one
}

// A Socket is a UDP port and what it is said to speak; "" where nobody says.
type Socket struct {
	Port        int
	Application string
}

// Patience is how long a port may think.
type Patience struct {
	TCP      []time.Duration // for each try; a port is tried again only if it was silent
	UDP      []time.Duration
	Greeting time.Duration // for what an open port says by itself, and to one question
	Quiet    time.Duration // for the first word of a port that nothing was heard of
	Control  time.Duration // for a port that is known to answer
}

// usual bounds a device that lets everything fall to about two minutes: 65535 ports, 1024 at a time.
func usual() Patience {
	return Patience{
		TCP:      []time.Duration{300 * time.Millisecond, 600 * time.Millisecond, 900 * time.Millisecond},
		UDP:      []time.Duration{700 * time.Millisecond, 1100 * time.Millisecond, 1700 * time.Millisecond},
		Greeting: 700 * time.Millisecond,
		Quiet:    6 * time.Second, // a resolver asks again after five (resolv.conf(5))
		Control:  2 * time.Second,
	}
}

const (
	maxPort    = 65535
	maxAtOnce  = 1024
	maxGreeted = 64 // open ports that are asked what they speak; a device with more has told enough
)

// Scan tries what is asked for. An error is the bench's.
func (s *Scanner) Scan(ctx context.Context, r probes.ScanRequest) (probes.Scan, error) {
	if !s.Target.IsValid() || r.First < 1 || r.Last > maxPort || r.First > r.Last || r.Rate < 0 {
		return probes.Scan{}, fmt.Errorf("scan %s: ports %d to %d, %d a second: %w", s.Target, r.First, r.Last, r.Rate, probes.ErrBench)
	}
	out, err := s.scan(ctx, r)
	if ctx.Err() != nil {
		return probes.Scan{}, fmt.Errorf("scan %s: %w", s.Target, ctx.Err())
	}
	if err != nil {
		return probes.Scan{}, fmt.Errorf("scan %s: %w: %w", s.Target, err, probes.ErrBench)
	}
	return out, nil
}

func (s *Scanner) scan(ctx context.Context, r probes.ScanRequest) (probes.Scan, error) {
	k := s.knocker(r.Rate)
	c, err := k.control(ctx, s.Controls)
	if err == nil && c == nil && s.Witness.IsValid() {
		c, err = (&knocker{target: s.Witness, patience: k.patience}).control(ctx, s.Controls)
	}
	if err != nil {
		return probes.Scan{}, err
	}
	out := probes.Scan{AliveBefore: c != nil, Tried: r.Last - r.First + 1, Addresses: []string{s.Target.String()}}
	// The UDP ports wait long for what never comes, and meanwhile the TCP ports are tried.
	var udp sync.WaitGroup
	var udpErr error
	if r.UDP {
		udp.Go(func() { out.UDP, udpErr = k.udp(ctx, s.UDP) })
	}
	heard, err := k.tcp(ctx, r, c)
	udp.Wait()
	if err = errors.Join(err, udpErr); err != nil {
		return out, err
	}
	out.TCP, out.Silent = heard.open, heard.silent
	out.Complete = heard.silent == 0 || heard.watched
	if err := k.greet(ctx, out.TCP); err != nil {
		return out, err
	}
	if c != nil {
		out.AliveAfter, err = c.same(ctx, k.patience.Control)
	}
	return out, err
}

// knocker begins a scan; rate 0 is the scanner's own.
func (s *Scanner) knocker(rate int) *knocker {
	p := s.Patience
	if len(p.TCP) == 0 || len(p.UDP) == 0 {
		p = usual()
	}
	if rate == 0 {
		rate = s.Rate
	}
	return &knocker{target: s.Target, patience: p, rate: rate}
}

// A knocker is one scan under way.
type knocker struct {
	target   netip.Addr
	patience Patience
	rate     int
}

func (k *knocker) address(port int) string {
	return net.JoinHostPort(k.target.String(), strconv.Itoa(port))
}

// A control is a port that answered, and how.
type control struct {
	by    *knocker
	port  int
	state probes.PortState
}

// fallback are ports that say at least that they are closed on nearly every device.
func fallback() []int { return []int{80, 443, 22, 1} }

// control finds a port that answers. An open one is best: that a device says "closed" shows the
// link, but not that its services are up. Nil: nothing answers.
func (k *knocker) control(ctx context.Context, ports []int) (*control, error) {
	var closed *control
	for _, port := range append(ports[:len(ports):len(ports)], fallback()...) {
		state, err := k.knock(ctx, port, k.patience.Control)
		if err != nil {
			return nil, err
		}
		switch {
		case state == probes.PortOpen:
			return &control{k, port, state}, nil
		case state == probes.PortClosed && closed == nil:
			closed = &control{k, port, state}
		}
	}
	return closed, nil
}

// same tells whether a control still answers as it did, and in time. A device that was busy gets a second try.
func (c control) same(ctx context.Context, patience time.Duration) (bool, error) {
	for range 2 {
		state, err := c.by.knock(ctx, c.port, patience)
		if err != nil || state == c.state {
			return err == nil, err
		}
	}
	return false, nil
}
