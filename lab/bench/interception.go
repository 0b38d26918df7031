package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"assay/lab/bench/intercept"
	"assay/lab/bench/segment"
	"assay/probes"
	"assay/profiles/dossier"
)

const (
	keysName  = "keys.log"
	portCoAPS = 5684
)

// KeyLog is the key log of every connection to the cloud that the bench terminated, in the format of NSS:
// what the decryption secrets of the run's capture are made of. keys.log in the run's folder holds the same.
func (b *Bench) KeyLog() []byte {
	if b.keys == nil {
		return nil
	}
	return b.keys.Lines()
}

// standIn reads with what the bench answers for the cloud. Where the dossier has nothing of it the result is empty.
func standIn(d *dossier.Dossier) (intercept.Cloud, error) {
	if d == nil || d.Cloud == nil || d.Cloud.Certificate == "" {
		return intercept.Cloud{}, nil
	}
	c := intercept.Cloud{Hosts: d.Cloud.Hosts}
	chain, err := certificateText(d, d.Cloud.Certificate)
	if err == nil {
		c.Genuine, err = intercept.Pair(chain, []byte(d.Cloud.Key.Reveal()))
	}
	if err != nil {
		return c, unusable(fmt.Errorf("dossier cloud.certificate and cloud.key: %w", err))
	}
	if i := d.Cloud.Issuer; i != nil {
		chain, err := certificateText(d, i.Certificate)
		if err == nil {
			c.Issuer, err = intercept.Pair(chain, []byte(i.Key.Reveal()))
		}
		if err != nil {
			return c, unusable(fmt.Errorf("dossier cloud.issuer: %w", err))
		}
	}
	return c, nil
}

// certificateText reads a file of the dossier, or takes PEM text as it stands.
func certificateText(d *dossier.Dossier, certificate string) ([]byte, error) {
	if strings.Contains(certificate, "-----BEGIN") {
		return []byte(certificate), nil
	}
	return readBounded(inDossier(d, certificate), maxPEM)
}

// callers lists the ports beside a usual one at which a dossier says that the device calls its cloud.
func callers(d *dossier.Dossier, via string, usual int) []int {
	var ports []int
	for _, c := range d.Contacts() {
		if c.Application != via || d.Cloud == nil || !slices.ContainsFunc(d.Cloud.Hosts, func(h string) bool { return strings.EqualFold(h, c.Host) }) {
			continue
		}
		port := c.Port
		if port == 0 && via == probes.ViaCoAPS {
			port = portCoAPS
		}
		if port != 0 && port != usual && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// door opens one way in to the cloud at its usual port and at those that the dossier declares. A port that
// this user may not open is told and left out; the usual one must be had.
func (v *servers) door(ctx context.Context, d *dossier.Dossier, s serving, via, name, host string, usual int) (net.Listener, error) {
	var raw []net.Listener
	if usual != 0 {
		both, err := v.listenBothTCP(ctx, s, name, usual)
		if err != nil {
			return nil, err
		}
		raw = append(raw, both...)
	}
	if !s.anyPort {
		for _, port := range callers(d, via, usual) {
			both, err := v.listenBothTCP(ctx, s, via+" at "+strconv.Itoa(port), port)
			if err != nil {
				s.tell("the device's calls to port %d are not answered: %v", port, err)
				continue
			}
			raw = append(raw, both...)
		}
	}
	if len(raw) == 0 {
		return nil, nil
	}
	at, err := netip.ParseAddrPort(raw[0].Addr().String())
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w: %w", name, err, probes.ErrBench)
	}
	return v.impostor.Door(ctx, via, via+"://"+net.JoinHostPort(host, strconv.Itoa(int(at.Port()))), raw...), nil
}

// listenBothTCP is listenTCP over IPv6 as well, where the bench has that.
func (v *servers) listenBothTCP(ctx context.Context, s serving, name string, port int) ([]net.Listener, error) {
	l, err := v.listenTCP(ctx, s, name, port)
	if err != nil {
		return nil, err
	}
	if !s.address6.IsValid() {
		return []net.Listener{l}, nil
	}
	six, err := segment.FreeTCP6(ctx, s.address6, port)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve %s over ipv6: %w: %w", name, err, probes.ErrBench), l.Close())
	}
	v.note(name+" over ipv6", six.Addr())
	return []net.Listener{l, six}, nil
}

// serveRest answers HTTPS where the update server does not, and CoAP over DTLS, at the ports that the dossier declares.
func (v *servers) serveRest(ctx context.Context, d *dossier.Dossier, s serving) error {
	if v.impostor == nil || !s.broker || s.anyPort {
		return nil
	}
	host := s.hostFor(d, "")
	if !s.updates {
		l, err := v.door(ctx, d, s, probes.ViaHTTPS, "https", host, 0)
		if err != nil {
			return err
		}
		if l != nil {
			v.closers = append(v.closers, serveNothing(l))
		}
	}
	for _, port := range callers(d, probes.ViaCoAPS, 0) {
		var answer func(net.Addr, []byte) []byte
		if v.updates != nil {
			answer = v.updates.Answer
		}
		raw, err := v.listenBoth(ctx, s, "coap over dtls", port)
		if err != nil {
			s.tell("the device's calls to port %d are not answered: %v", port, err)
			continue
		}
		l := v.impostor.DTLSDoor(ctx, probes.ViaCoAPS, "coaps://"+net.JoinHostPort(host, strconv.Itoa(port)), answer, raw...)
		v.closers = append(v.closers, l.Close)
	}
	return nil
}

// serveNothing is an HTTP server that has nothing: enough for a device to ask.
func serveNothing(l net.Listener) func() error {
	web := &http.Server{
		Handler:           http.NotFoundHandler(),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 8 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = web.Serve(l) // ErrServerClosed, once it was closed
	}()
	return func() error {
		err := errors.Join(web.Close(), l.Close())
		<-done
		return err
	}
}

// hostFor is the name under which the device calls: the first that begins so, else the first at all; the address
// where names do not lead to the bench.
func (s serving) hostFor(d *dossier.Dossier, prefix string) string {
	if hosts := cloudHosts(d); len(hosts) > 0 {
		for _, h := range hosts {
			if strings.HasPrefix(h, prefix) {
				return h
			}
		}
		return hosts[0]
	}
	return s.address.String()
}

func (s serving) tell(format string, args ...any) {
	if s.log != nil {
		s.log(fmt.Sprintf(format, args...))
	}
}

// callsFrom tells the device's calls from others' by its address as it is now.
func callsFrom(ctx context.Context, host func() string) func(net.Addr) bool {
	named := sync.OnceValues(func() ([]netip.Addr, error) { // a name in the dossier, looked up once
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host())
	})
	return func(a net.Addr) bool {
		from, err := netip.ParseAddrPort(a.String())
		if err != nil {
			return false
		}
		caller := from.Addr().Unmap().WithZone("")
		h := host()
		if at, err := netip.ParseAddr(h); err == nil || h == "" {
			return err == nil && at.Unmap().WithZone("") == caller
		}
		all, _ := named()
		return slices.ContainsFunc(all, func(at netip.Addr) bool { return at.Unmap() == caller })
	}
}

// Names of what the interceptor can do, as the planner asks for them: interceptor/mqtts, interceptor/mqtts/expired.
func scenarioName(via string, s probes.Scenario) probes.Instrument {
	return viaName(via) + "/" + probes.Instrument(s)
}

func viaName(via string) probes.Instrument {
	return probes.InstrumentInterceptor + "/" + probes.Instrument(via)
}

// interception tells which ways in and which scenarios there will be. ways says for each why it is not there.
func (o *offering) interception(d *dossier.Dossier, ways map[string]intercept.Lack) {
	cloud, err := standIn(d)
	switch {
	case err != nil:
		o.take(probes.InstrumentInterceptor, false, err.Error(), "mend what it names")
		return
	case cloud.Genuine == nil:
		o.take(probes.InstrumentInterceptor, false, noCloud, mendNoCloud)
		return
	}
	o.has = append(o.has, probes.InstrumentInterceptor)
	now := Clock{}.Now()
	for _, via := range probes.Vias {
		if why := ways[via]; why.Because != "" {
			o.take(viaName(via), false, why.Because, why.Mend)
			continue
		}
		o.has = append(o.has, viaName(via))
		for _, s := range probes.Scenarios {
			why := cloud.Lacks(via, s, now)
			o.take(scenarioName(via, s), why.Because == "", why.Because, why.Mend)
		}
	}
}

// ways tells which ways in a bench opens for a dossier.
func ways(d *dossier.Dossier, updates bool) map[string]intercept.Lack {
	if d == nil {
		return nil
	}
	out := map[string]intercept.Lack{}
	undeclared := func(via string) intercept.Lack {
		return intercept.Lack{
			Because: "the dossier declares no host of `cloud` that the device calls with application " + via,
			Mend:    "list it under `contacts` of the row that declares the call, with its port",
		}
	}
	if !updates && len(callers(d, probes.ViaHTTPS, 0)) == 0 {
		out[probes.ViaHTTPS] = undeclared(probes.ViaHTTPS)
	}
	if len(callers(d, probes.ViaCoAPS, 0)) == 0 {
		out[probes.ViaCoAPS] = undeclared(probes.ViaCoAPS)
	}
	return out
}
