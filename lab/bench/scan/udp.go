package scan

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"assay/probes"
)

// A question is what one UDP port is asked. A datagram without the right words is dropped in
// silence by nearly every service, so each is asked in its own protocol.
type question struct {
	port   int
	speaks probes.Speech
	words  [][]byte // one for each try, from the first again where there are more tries
	// elsewhere: the answer may come from another port of the device, as in TFTP (RFC 1350, 4) and UPnP.
	elsewhere bool
}

// wellKnown are the ports that devices of this kind leave open.
func wellKnown() []question {
	return []question{
		{port: 53, speaks: probes.SpeaksDNS}, {port: 69, speaks: probes.SpeaksTFTP},
		{port: 123, speaks: probes.SpeaksNTP}, {port: 161, speaks: probes.SpeaksSNMP},
		{port: 1900, speaks: probes.SpeaksSSDP}, {port: 5353, speaks: probes.SpeaksMDNS},
		{port: 5683, speaks: probes.SpeaksCoAP}, {port: 5684, speaks: probes.SpeaksDTLS},
	}
}

// questions joins the well-known ports with those that are declared; a declaration's word counts.
func questions(declared []Socket) []question {
	byPort := map[int]question{}
	for _, q := range wellKnown() {
		byPort[q.port] = q
	}
	for _, s := range declared {
		speaks, known := spoken(s.Application)
		switch _, usual := byPort[s.Port]; {
		case s.Port < 1 || s.Port > maxPort:
			continue
		case known || !usual:
			byPort[s.Port] = question{port: s.Port, speaks: speaks}
		}
	}
	var out []question
	for _, q := range byPort {
		q.words, q.elsewhere = words(q.speaks)
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b question) int { return cmp.Compare(a.port, b.port) })
	return out
}

// spoken reads the application that a dossier names.
func spoken(application string) (probes.Speech, bool) {
	switch application {
	case "coap":
		return probes.SpeaksCoAP, true
	case "coaps", "dtls":
		return probes.SpeaksDTLS, true
	case "dns", "mdns", "ntp", "snmp", "ssdp", "tftp":
		return probes.Speech(application), true
	}
	return probes.SpeaksUnknown, false
}

// udp asks every port: first those that are declared or usual, then the further ones, for a device tells only of a few
// closed ports a second (RFC 1812, 4.3.2.8), and of a declared one it should.
func (k *knocker) udp(ctx context.Context, declared []Socket) ([]probes.Port, error) {
	first := questions(declared)
	out, err := together(first, func(q question) (probes.Port, error) { return k.ask(ctx, q) })
	if err != nil {
		return out, err
	}
	more, err := together(furtherQuestions(first), func(q question) (probes.Port, error) { return k.askFurther(ctx, q) })
	out = append(out, more...)
	slices.SortFunc(out, byNumber)
	return out, err
}

// together asks ports all at the same time.
func together(asked []question, ask func(question) (probes.Port, error)) ([]probes.Port, error) {
	out := make([]probes.Port, len(asked))
	var hands sync.WaitGroup
	var once sync.Once
	var failed error
	for i, q := range asked {
		hands.Go(func() {
			var err error
			if out[i], err = ask(q); err != nil {
				once.Do(func() { failed = fmt.Errorf("ask udp port %d: %w", q.port, err) })
			}
		})
	}
	hands.Wait()
	return out, failed
}

// ask puts one question until something comes back or patience ends.
func (k *knocker) ask(ctx context.Context, q question) (probes.Port, error) {
	port := probes.Port{Number: q.port, State: probes.PortSilent, Speaks: probes.SpeaksUnknown}
	for i, patience := range k.patience.UDP {
		w := q.words[i%len(q.words)]
		state, err := k.datagram(ctx, q.port, w, patience)
		if err == nil && state == probes.PortSilent && q.elsewhere {
			state, err = k.elsewhere(ctx, q.port, w, patience)
		}
		if err != nil {
			return port, err
		}
		if state == probes.PortSilent {
			continue
		}
		port.State = state
		if state == probes.PortOpen {
			port.Speaks = q.speaks
		}
		return port, nil
	}
	return port, nil
}

// datagram asks over a connected socket: only there the kernel tells of a port that is closed (ICMP, RFC 1122, 4.1.3.3).
func (k *knocker) datagram(ctx context.Context, port int, words []byte, patience time.Duration) (probes.PortState, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", k.address(port))
	if err != nil {
		return heardNothing(ctx, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := conn.Write(words); err != nil {
		return heardNothing(ctx, err)
	}
	if _, err := conn.Read(make([]byte, maxHeard)); err != nil {
		return heardNothing(ctx, err)
	}
	return probes.PortOpen, ctx.Err()
}

// elsewhere asks over a socket that takes an answer from any port of the device.
func (k *knocker) elsewhere(ctx context.Context, port int, words []byte, patience time.Duration) (probes.PortState, error) {
	var c net.ListenConfig
	conn, err := c.ListenPacket(ctx, "udp", ":0")
	if err != nil {
		return heardNothing(ctx, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := conn.WriteTo(words, net.UDPAddrFromAddrPort(netip.AddrPortFrom(k.target, uint16(port)))); err != nil {
		return heardNothing(ctx, err)
	}
	for {
		_, from, err := conn.ReadFrom(make([]byte, maxHeard))
		if err != nil {
			return heardNothing(ctx, err)
		}
		if u, ok := from.(*net.UDPAddr); ok && u.AddrPort().Addr().Unmap() == k.target.Unmap() {
			return probes.PortOpen, ctx.Err()
		}
	}
}

// heardNothing tells a closed port from silence, and both from trouble of our own.
func heardNothing(ctx context.Context, err error) (probes.PortState, error) {
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case refused(err):
		return probes.PortClosed, nil
	case local(err):
		return "", err
	}
	return probes.PortSilent, nil
}
