package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"assay/lab/bench/scan"
	"assay/lab/bench/standin"
	"assay/probes"
)

const (
	nobodyName  = "nobody.assay.invalid." // exists nowhere (RFC 6761), and the bench says so
	timesAsked  = 50                      // so that a link which loses one frame in ten cannot pass for a sound one
	beacons     = 64
	dummyBytes  = 48 << 10
	soundOffset = 1000       // milliseconds: both clocks are this machine's
	accepted    = "20020000" // CONNACK of MQTT 3.1.1: no session, accepted
)

// examine asks for everything that a run relies on. Without an address there is nothing further to ask.
func (x *examiner) examine(ctx context.Context) {
	if !x.lease(ctx) {
		return
	}
	x.names(ctx)
	x.time(ctx)
	x.cloud(ctx)
	x.image(ctx)
	x.ports(ctx)
	x.frames(ctx)
}

func (x *examiner) lease(ctx context.Context) bool {
	own := []string{x.proof.address.Addr().String()}
	router, dns, ntp := own, own, own
	if d := x.dhcp; d != nil {
		if d.Router != "" {
			router = []string{d.Router}
		}
		if len(d.DNS) > 0 {
			dns = d.DNS
		}
		if len(d.NTP) > 0 {
			ntp = d.NTP
		}
	}
	told := func(at, by, router string, dns, ntp []string) string {
		return fmt.Sprintf("%s from %s, router %s, dns %s, ntp %s", at, by, router, strings.Join(dns, " "), strings.Join(ntp, " "))
	}
	network := x.proof.address.Masked()
	want := told("an address of "+network.String(), own[0], router[0], dns, ntp)
	return x.ask(ctx, "address", want, standin.Request{Do: standin.DoLease, Interface: x.guest.name}, func(a standin.Answer) (string, bool) {
		if a.Error != "" {
			return a.Error, false
		}
		words := told(a.Address, a.Server, a.Router, a.DNS, a.NTP)
		at, err := netip.ParsePrefix(a.Address)
		l, leased := x.b.leased.Lease(x.mac.String())
		if err != nil || at.Masked() != network || !leased || l.Address != at.Addr() {
			return words, false
		}
		x.address = at
		return words, a.Server == own[0] && a.Router == router[0] && slices.Equal(a.DNS, dns) && slices.Equal(a.NTP, ntp)
	})
}

func (x *examiner) names(ctx context.Context) {
	own := x.proof.address.Addr().String()
	server := netip.AddrPortFrom(x.proof.address.Addr(), portDNS).String()
	known := []string{selfName}
	if hosts := cloudHosts(x.dossier); len(hosts) > 0 {
		known = append(known, hosts[0])
	}
	resolved := func(a standin.Answer) string {
		if a.Error != "" {
			return a.Error
		}
		return strings.TrimSpace(a.Code + " " + strings.Join(a.Addresses, " "))
	}
	for _, name := range known {
		x.ask(ctx, "name "+name, "NOERROR "+own, standin.Request{Do: standin.DoResolve, Server: server, Name: name}, func(a standin.Answer) (string, bool) {
			return resolved(a), resolved(a) == "NOERROR "+own
		})
	}
	if !x.closed {
		x.without("name "+nobodyName, "bench.yaml has names answered that exist nowhere, or asked for outside")
		return
	}
	x.ask(ctx, "name "+nobodyName, "NXDOMAIN", standin.Request{Do: standin.DoResolve, Server: server, Name: nobodyName}, func(a standin.Answer) (string, bool) {
		return resolved(a), resolved(a) == "NXDOMAIN"
	})
}

func (x *examiner) time(ctx context.Context) {
	r := standin.Request{Do: standin.DoTime, Server: netip.AddrPortFrom(x.proof.address.Addr(), portNTP).String(), Count: timesAsked}
	x.ask(ctx, "time", fmt.Sprintf("%d answers, none lost, within %d ms", timesAsked, soundOffset), r, func(a standin.Answer) (string, bool) {
		words := fmt.Sprintf("%d answers, %d ms away", a.Count, a.OffsetMS)
		if a.Error != "" {
			words += ", " + a.Error
		}
		return words, a.Count == timesAsked && a.Error == "" && max(a.OffsetMS, -a.OffsetMS) <= soundOffset
	})
}

// cloud calls the broker as the device does, and once more while an impostor answers.
func (x *examiner) cloud(ctx context.Context) {
	s := x.b.serves
	if s.broker == nil || s.impostor == nil {
		x.without("broker", noCloud)
		x.without("bad certificate", noCloud)
		return
	}
	name := serving{address: x.proof.address.Addr()}.hostFor(x.dossier, "cloud.")
	r := x.trusting(standin.Request{Do: standin.DoBroker, At: s.at["mqtt over tls"].String(), Name: name})
	x.ask(ctx, "broker", "its certificate is good, CONNACK "+accepted, r, func(a standin.Answer) (string, bool) {
		if a.Error != "" {
			return a.Error, false
		}
		return "its certificate is good, CONNACK " + a.Code, a.Code == accepted
	})
	const want = "refused: nobody vouches for it"
	end, err := s.impostor.Rehearse(ctx, probes.ViaMQTTS, probes.UnknownCA, x.address.Addr())
	if err != nil {
		x.add("bad certificate", want, err.Error(), false)
		return
	}
	defer end()
	r.Do = standin.DoHello
	x.ask(ctx, "bad certificate", want, r, func(a standin.Answer) (string, bool) {
		switch {
		case a.Refused:
			return "refused: " + a.Error, true
		case a.Error != "":
			return a.Error, false
		}
		return "trusted: the genuine one was presented", false
	})
}

// trusting tells the guest which certificate of the cloud is good: by its CA, the name and today's date, as a good device looks
// at it, or where the dossier's certificate would not stand that, by its bytes.
func (x *examiner) trusting(r standin.Request) standin.Request {
	cloud, err := standIn(x.dossier)
	if err != nil || cloud.Genuine == nil {
		return r
	}
	chain := cloud.Genuine.Certificate
	root := chain[len(chain)-1]
	if cloud.Issuer != nil {
		root = cloud.Issuer.Certificate[0]
	}
	if vouches(cloud.Genuine, root, r.Name, x.b) {
		r.Roots = [][]byte{root}
	} else {
		r.Pin = chain[0]
	}
	return r
}

func vouches(genuine *tls.Certificate, root []byte, name string, b *Bench) bool {
	c, err := x509.ParseCertificate(root)
	if err != nil {
		return false
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(c)
	for _, raw := range genuine.Certificate[1:] {
		if c, err := x509.ParseCertificate(raw); err == nil {
			between.AddCert(c)
		}
	}
	_, err = genuine.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: b.Probes.Clock.Now()})
	return err == nil
}

// image fetches one that is nobody's from the update server.
func (x *examiner) image(ctx context.Context) {
	s := x.b.serves
	if s.updates == nil {
		x.without("image", "this bench serves no updates")
		return
	}
	via, service := "coap", "updates over coap"
	if s.impostor != nil {
		via, service = "https", "updates over https"
	}
	image := make([]byte, dummyBytes)
	_, _ = rand.Read(image) // never fails
	sum := sha256.Sum256(image)
	want := fmt.Sprintf("%d bytes, %s", len(image), hex.EncodeToString(sum[:8]))
	offer, err := s.updates.Offer(ctx, via, image)
	if err != nil {
		x.add("image", want, err.Error(), false)
		return
	}
	defer func() { _ = offer.Close() }()
	host, _, _ := strings.Cut(strings.TrimPrefix(offer.URL(), "https://"), ":")
	r := x.trusting(standin.Request{Do: standin.DoFetch, URL: offer.URL(), At: s.at[service].String(), Name: host})
	x.ask(ctx, "image over "+via, want, r, func(a standin.Answer) (string, bool) {
		if a.Error != "" {
			return a.Error, false
		}
		return fmt.Sprintf("%d bytes, %.16s", a.Bytes, a.SHA256), a.SHA256 == hex.EncodeToString(sum[:])
	})
}

// ports scans the guest: what is open must be found open, what is closed closed.
func (x *examiner) ports(ctx context.Context) {
	a, err := x.guest.do(ctx, standin.Request{Do: standin.DoListen})
	if err != nil || a.Error != "" {
		x.add("ports", "one open, one closed", fmt.Sprint(a.Error, err), false)
		return
	}
	scanner := scan.Scanner{Target: x.address.Addr(), Controls: []int{a.Open}, Rate: rateReference, Patience: proofPatience()}
	for _, one := range []struct {
		asked, want string
		port        int
	}{{"open port", "open", a.Open}, {"closed port", "closed", a.Closed}} {
		found, err := scanner.Scan(ctx, probes.ScanRequest{First: one.port, Last: one.port})
		got := "closed"
		switch {
		case err != nil:
			got = err.Error()
		case len(found.TCP) > 0:
			got = "open"
		case found.Silent > 0 || !found.Complete || !found.AliveAfter:
			got = "no answer"
		}
		x.add(one.asked, one.want, got, got == one.want)
	}
}

// proofPatience is for a device that is a process of this machine, which may be busy.
func proofPatience() scan.Patience {
	const short, long = 300 * time.Millisecond, time.Second
	return scan.Patience{TCP: []time.Duration{short, long}, UDP: []time.Duration{short}, Greeting: long, Control: long}
}

// frames has the guest send what everybody on the segment hears, and looks for it in the capture.
func (x *examiner) frames(ctx context.Context) {
	switch {
	case x.b.Capture == nil:
		x.without("capture", "nothing is captured")
		return
	case !x.live():
		x.without("capture", "the device's cable is dead: nothing of others is seen on it")
		return
	}
	token := "bench self-test " + rand.Text()
	want := fmt.Sprintf("%d of %d datagrams", beacons, beacons)
	from, marked := x.b.mark(ctx)
	a, err := x.guest.do(ctx, standin.Request{Do: standin.DoBeacon, Text: token, Count: beacons})
	to, again := x.b.mark(ctx)
	if err != nil || a.Error != "" || !marked || !again {
		x.add("capture", want, fmt.Sprintf("the datagrams did not go out, or the capture has stopped: %s %v", a.Error, err), false)
		return
	}
	w, err := x.b.Capture.WindowOf(ctx, from, to, x.mac)
	if err != nil {
		x.add("capture", want, err.Error(), false)
		return
	}
	seen := map[string]bool{}
	for payload := range w.Payloads {
		if strings.HasPrefix(string(payload), token) {
			seen[string(payload)] = true
		}
	}
	x.add("capture", want, fmt.Sprintf("%d of %d datagrams", len(seen), beacons), len(seen) == beacons)
}
