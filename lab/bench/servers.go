package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"assay/lab/bench/intercept"
	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/lab/drive"
	"assay/probes"
	"assay/profiles/dossier"
)

// The ports at which the bench's services stand, where they are free to choose.
const (
	portDNS    = 53
	portNTP    = 123
	portBroker = 8883
	portHTTPS  = 8444
	portCoAP   = 5683
	maxPEM     = 256 << 10
)

// serving says which services a bench runs and where.
type serving struct {
	address                   netip.Addr
	address6                  netip.Addr // the same services over IPv6; not valid: none
	dns, ntp, broker, updates bool
	anyPort                   bool                // take free ports instead of the usual ones
	nameUpdates               bool                // the device resolves the dossier's hosts to us: name them in URLs
	names                     services.DNSOptions // what DNS says beside the dossier's hosts
	log                       func(string)
	keys                      *intercept.Keys // where the keys of terminated connections go
	callers                   []caller        // by which units are told apart; nil: whoever calls is the device
}

// servers are a bench's running services; those it does not run are nil.
type servers struct {
	dns     *services.DNS
	ntp     *services.NTP
	broker  *services.Broker
	updates *services.Updates
	inside  drive.Cloud // the bench's own way into the broker
	// impostor stands at every way in to the cloud, also while it is the genuine one; nil: there is no cloud
	impostor *intercept.Interceptor
	units    map[string]*intercept.Unit // it, as each unit has it; the first is the impostor's own
	callers  []caller
	list     []Service
	at       map[string]netip.AddrPort
	closers  []func() error
}

// serve starts what is asked for.
func serve(ctx context.Context, d *dossier.Dossier, s serving) (*servers, error) {
	cloud, err := standIn(d)
	if err != nil {
		return nil, err
	}
	v := &servers{at: map[string]netip.AddrPort{}, callers: s.callers}
	if cloud.Genuine != nil {
		v.intercept(cloud, s)
	}
	steps := []func() error{
		func() error { return v.serveNames(ctx, d, s) },
		func() error { return v.serveBroker(ctx, d, s) },
		func() error { return v.serveUpdates(ctx, d, s, cloud) },
		func() error { return v.serveRest(ctx, d, s) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errors.Join(err, v.close())
		}
	}
	return v, nil
}

func (v *servers) close() error {
	var errs []error
	for i := len(v.closers) - 1; i >= 0; i-- {
		errs = append(errs, v.closers[i]())
	}
	return errors.Join(errs...)
}

func (v *servers) serveNames(ctx context.Context, d *dossier.Dossier, s serving) error {
	if s.dns {
		udp, err := v.listenUDP(ctx, s, "dns", portDNS)
		if err != nil {
			return err
		}
		var tcp net.Listener
		if !s.anyPort {
			if tcp, err = v.listenTCP(ctx, s, "dns over tcp", portDNS); err != nil {
				return errors.Join(err, udp.Close())
			}
		}
		o := s.names
		o.Hosts, o.Address, o.Address6, o.Now, o.Log = cloudHosts(d), s.address, s.address6, Clock{}.Now, s.log
		if v.dns, err = services.StartDNS(ctx, udp, tcp, o); err != nil {
			return fmt.Errorf("%w: %w", err, probes.ErrBench)
		}
		v.closers = append(v.closers, v.dns.Close)
	}
	if s.ntp {
		udp, err := v.listenBoth(ctx, s, "ntp", portNTP)
		if err != nil {
			return err
		}
		v.ntp = services.StartNTP(Clock{}.Now, udp...)
		v.closers = append(v.closers, v.ntp.Close)
	}
	return nil
}

func (v *servers) serveBroker(ctx context.Context, d *dossier.Dossier, s serving) error {
	if !s.broker || v.impostor == nil {
		return nil
	}
	secure, err := v.door(ctx, d, s, probes.ViaMQTTS, "mqtt over tls", s.hostFor(d, "cloud."), portBroker)
	if err != nil {
		return err
	}
	plain, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("listen for the bench itself: %w: %w", err, probes.ErrBench), secure.Close())
	}
	v.inside = drive.Cloud{URL: "mqtt://" + plain.Addr().String(), Username: "bench", Password: rand.Text()}
	v.broker, err = services.StartBroker(services.BrokerOptions{
		TLS: secure, Plain: plain, Username: v.inside.Username, Password: v.inside.Password,
		Now: Clock{}.Now, Log: s.log,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %w", err, probes.ErrBench), secure.Close(), plain.Close())
	}
	v.closers = append(v.closers, v.broker.Close)
	return nil
}

func (v *servers) serveUpdates(ctx context.Context, d *dossier.Dossier, s serving, cloud intercept.Cloud) error {
	if !s.updates {
		return nil
	}
	host := s.address.String()
	if s.nameUpdates {
		host = updatesHost(d, host)
	}
	udp, err := v.listenBoth(ctx, s, "updates over coap", portCoAP)
	if err != nil {
		return err
	}
	o := services.UpdatesOptions{CoAP: udp, CoAPBase: "coap://" + v.hostPort(host, "updates over coap"), Log: s.log}
	if v.impostor != nil {
		if cloud.Genuine.Leaf.VerifyHostname(host) != nil {
			host = updatesHost(d, host) // the device compares the name, so it must be one of the certificate's
		}
		if o.HTTPS, err = v.door(ctx, d, s, probes.ViaHTTPS, "updates over https", host, portHTTPS); err != nil {
			return errors.Join(err, closeAll(udp))
		}
		o.HTTPSBase = "https://" + v.hostPort(host, "updates over https")
	}
	v.updates = services.StartUpdates(o)
	v.closers = append(v.closers, v.updates.Close)
	return nil
}

func (v *servers) hostPort(host, service string) string {
	return net.JoinHostPort(host, strconv.Itoa(int(v.at[service].Port())))
}

func (v *servers) listenUDP(ctx context.Context, s serving, name string, port int) (net.PacketConn, error) {
	c, err := new(net.ListenConfig).ListenPacket(ctx, "udp", s.place(port))
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w: %w", name, err, probes.ErrBench)
	}
	v.note(name, c.LocalAddr())
	return c, nil
}

// listenBoth is listenUDP over IPv6 as well, where the bench has that.
func (v *servers) listenBoth(ctx context.Context, s serving, name string, port int) ([]net.PacketConn, error) {
	c, err := v.listenUDP(ctx, s, name, port)
	if err != nil {
		return nil, err
	}
	if !s.address6.IsValid() {
		return []net.PacketConn{c}, nil
	}
	six, err := segment.FreeUDP6(ctx, s.address6, port)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve %s over ipv6: %w: %w", name, err, probes.ErrBench), c.Close())
	}
	v.note(name+" over ipv6", six.LocalAddr())
	return []net.PacketConn{c, six}, nil
}

func closeAll(conns []net.PacketConn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (v *servers) listenTCP(ctx context.Context, s serving, name string, port int) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.place(port))
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w: %w", name, err, probes.ErrBench)
	}
	v.note(name, l.Addr())
	return l, nil
}

func (v *servers) note(name string, at net.Addr) {
	v.list = append(v.list, Service{Name: name, Address: at.String()})
	if a, err := netip.ParseAddrPort(at.String()); err == nil {
		v.at[name] = a
	}
}

func (s serving) place(port int) string {
	if s.anyPort {
		port = 0
	}
	return netip.AddrPortFrom(s.address, uint16(port)).String() //nolint:gosec // constants above
}

func cloudHosts(d *dossier.Dossier) []string {
	if d.Cloud == nil {
		return nil
	}
	return d.Cloud.Hosts
}

// updatesHost is the name under which a device knows its maker's update server: the first that says so,
// else the first at all.
func updatesHost(d *dossier.Dossier, otherwise string) string {
	hosts := cloudHosts(d)
	for _, h := range hosts {
		if strings.HasPrefix(h, "updates.") {
			return h
		}
	}
	if len(hosts) > 0 {
		return hosts[0]
	}
	return otherwise
}

// copyFile puts bytes in the place of a file and waits until they are on the disk.
func copyFile(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
