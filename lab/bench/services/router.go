package services

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
)

// RouterOptions say what the segment's IPv6 router tells of itself.
type RouterOptions struct {
	Interface *net.Interface
	Prefix    netip.Prefix // a /64
	Server    netip.Addr   // the name server
	SLAAC     bool         // devices make their own addresses in the prefix
	Managed   bool         // devices lease addresses by DHCPv6
	Now       func() time.Time
}

const (
	routerLives  = 30 * time.Minute
	prefixLives  = time.Hour
	routerPause  = 50 * time.Millisecond // between two tries to listen, and at least between two answers
	routerPeriod = 10 * time.Second      // unsolicited advertisements (RFC 4861, 6.2.4)
)

// Router advertises the segment's IPv6 prefix (RFC 4861). It outlives a link that goes down and up again.
type Router struct {
	o    RouterOptions
	quit chan struct{}
	done sync.WaitGroup

	received, answered atomic.Uint64

	mu   sync.Mutex // guards the rest
	conn *ndp.Conn
}

// StartRouter begins; nothing is sent while the interface has no link-local address yet.
func StartRouter(o RouterOptions) *Router {
	r := &Router{o: o, quit: make(chan struct{})}
	r.done.Go(r.run)
	return r
}

// Counts tells what it met.
func (r *Router) Counts() Counts {
	return Counts{Received: r.received.Load(), Answered: r.answered.Load()}
}

// Close ends it.
func (r *Router) Close() error {
	close(r.quit)
	r.mu.Lock()
	if r.conn != nil {
		_ = r.conn.Close()
	}
	r.mu.Unlock()
	r.done.Wait()
	return nil
}

func (r *Router) ended() bool {
	select {
	case <-r.quit:
		return true
	default:
		return false
	}
}

// run listens again and again: an interface has no link-local address before it is up, and loses it when its
// link is cut.
func (r *Router) run() {
	tick := time.NewTicker(routerPause)
	defer tick.Stop()
	for {
		if c, _, err := ndp.Listen(r.o.Interface, ndp.LinkLocal); err == nil {
			r.mu.Lock()
			r.conn = c
			r.mu.Unlock()
			if !r.ended() {
				r.talk(c)
			}
			_ = c.Close()
		}
		select {
		case <-r.quit:
			return
		case <-tick.C:
		}
	}
}

// talk advertises until the socket breaks.
func (r *Router) talk(c *ndp.Conn) {
	var only ipv6.ICMPFilter
	only.SetAll(true)
	only.Accept(ipv6.ICMPTypeRouterSolicitation)
	routers := netip.MustParseAddr("ff02::2")
	if c.SetICMPFilter(&only) != nil || c.JoinGroup(routers) != nil {
		return
	}
	buf := make([]byte, maxDatagram)
	var last time.Time
	for {
		if now := r.o.Now(); now.Sub(last) >= routerPause {
			if c.WriteTo(r.advertisement(), nil, netip.IPv6LinkLocalAllNodes()) != nil {
				return
			}
			r.answered.Add(1)
			last = now
		}
		if c.SetReadDeadline(r.o.Now().Add(routerPeriod)) != nil {
			return
		}
		// Whatever it says, a solicitation is answered to everybody: what is in it need not be read.
		_, _, _, err := c.ReadRaw(buf)
		if timeout, ok := err.(net.Error); err != nil && (!ok || !timeout.Timeout()) { //nolint:errorlint // the socket's own
			return
		}
		if err == nil {
			r.received.Add(1)
		}
	}
}

func (r *Router) advertisement() *ndp.RouterAdvertisement {
	return &ndp.RouterAdvertisement{
		CurrentHopLimit: 64, ManagedConfiguration: r.o.Managed, OtherConfiguration: true, RouterLifetime: routerLives,
		Options: []ndp.Option{
			&ndp.PrefixInformation{
				PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: r.o.SLAAC,
				ValidLifetime: prefixLives, PreferredLifetime: prefixLives, Prefix: r.o.Prefix.Addr(),
			},
			&ndp.RecursiveDNSServer{Lifetime: routerLives, Servers: []netip.Addr{r.o.Server}},
			&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: r.o.Interface.HardwareAddr},
		},
	}
}
