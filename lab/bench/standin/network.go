package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/beevik/ntp"
	"github.com/miekg/dns"
)

// resolve asks for the IPv4 addresses of a name, again where no answer comes.
func resolve(ctx context.Context, r Request) (Answer, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(r.Name), dns.TypeA)
	c := dns.Client{Timeout: exchange / 3}
	var reply *dns.Msg
	var err error
	for range 3 {
		if reply, _, err = c.ExchangeContext(ctx, q, r.Server); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Code: dns.RcodeToString[reply.Rcode]}
	for _, rr := range reply.Answer {
		if v4, ok := rr.(*dns.A); ok {
			a.Addresses = append(a.Addresses, v4.A.String())
		}
	}
	return a, nil
}

// maxOffset is far beyond what a sound bench tells a clock of the same machine.
const maxOffset = 1000 * 24 * time.Hour

// askTime asks a time server so many times, once each, so that a question or an answer that is lost on the
// way shows. Three that are lost are enough.
func askTime(ctx context.Context, r Request) (Answer, error) {
	var a Answer
	var lost error
	for n, missed := 0, 0; n < r.Count && missed < 3; n++ {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		dialer := net.Dialer{}
		reply, err := ntp.QueryWithOptions(r.Server, ntp.QueryOptions{
			Timeout: exchange * 2 / 3, // long enough for a busy machine: what is late is not lost
			Dialer:  func(_, remote string) (net.Conn, error) { return dialer.DialContext(ctx, "udp", remote) },
		})
		if err != nil {
			missed, lost = missed+1, err
			continue
		}
		a.Count++
		if off := min(max(reply.ClockOffset, -maxOffset), maxOffset).Milliseconds(); n == 0 || off*off > a.OffsetMS*a.OffsetMS {
			a.OffsetMS = off
		}
	}
	return a, lost
}

// beacon sends numbered datagrams to everybody on the network, at the port where nobody answers (RFC 863).
func (d *device) beacon(ctx context.Context, r Request) (Answer, error) {
	if d.broadcast == "" {
		return Answer{}, errors.New("there is no lease")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp4", net.JoinHostPort(d.broadcast, "9"))
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = conn.Close() }()
	var a Answer
	for n := range r.Count {
		if _, err := fmt.Fprintf(conn, "%s %d", r.Text, n); err != nil {
			return a, err
		}
		a.Count++
	}
	return a, nil
}

// listen opens a port, and finds another one that stays closed.
func (d *device) listen(ctx context.Context) (Answer, error) {
	var c net.ListenConfig
	open, err := c.Listen(ctx, "tcp4", ":0")
	if err != nil {
		return Answer{}, err
	}
	d.closers = append(d.closers, func() { _ = open.Close() })
	go func() {
		for {
			conn, err := open.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(exchange))
			_, _ = conn.Write([]byte("bench-self-test\r\n"))
			_ = conn.Close()
		}
	}()
	shut, err := c.Listen(ctx, "tcp4", ":0")
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Open: port(open), Closed: port(shut)}
	return a, shut.Close()
}

func port(l net.Listener) int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

func texts(ips []net.IP) []string {
	var out []string
	for _, ip := range ips {
		out = append(out, strings.TrimSpace(ip.String()))
	}
	return out
}
