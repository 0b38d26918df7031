// Package services asks at which ports the device answers. It knocks and asks harmless
// questions; it never logs in, and never compares with what the maker declared.
package services

import (
	"context"
	"fmt"
	"slices"
	"time"

	"assay/probes"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "exposure/services",
		Version: "3", // 1 knew one address of the device; 2 heard no login whose prompt came late, and asked eight UDP ports
		Asks:    "At which network ports does the device answer?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentScanner},
			{Instrument: probes.InstrumentClock},
		},
		Touch:   probes.Interact,
		Typical: 60, // at 2,000 ports a second, over IPv4 and one address of IPv6
		New:     func() probes.Probe { return &Probe{FirstPort: 1, LastPort: 65535, UDP: true} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	FirstPort int  `json:"first_port"` // TCP
	LastPort  int  `json:"last_port"`  // TCP
	UDP       bool `json:"udp"`        // ask the declared and the well-known UDP ports too
	Rate      int  `json:"rate"`       // TCP ports a second, at most; 0: what the bench thinks fit
}

// Facts is what answered. Ports are written tcp/8443 and udp/5684.
type Facts struct {
	PortsTried   int      `json:"ports_tried"`    // TCP: 65535
	TCPOpen      []string `json:"tcp_open"`       // took a connection; the first 64
	TCPOpenCount int      `json:"tcp_open_count"` // all of them
	TCPSilent    int      `json:"tcp_silent"`     // TCP ports that let every try fall
	UDPAsked     bool     `json:"udp_asked"`
	UDPAnswering []string `json:"udp_answering"` // sent something back
	UDPClosed    []string `json:"udp_closed"`    // said that nobody is there
	UDPSilent    []string `json:"udp_silent"`    // said nothing, which proves nothing
	Addresses    []string `json:"addresses"`     // that were tried, the device's own first: "192.0.2.100", "fe80::5eff:fe10:4a7f%br0"
	Unscanned    []string `json:"unscanned"`     // what could not be tried, with the reason: "IPv6: eth0 has no IPv6 address"
	IPv6Only     []string `json:"ipv6_only"`     // those of services that did not answer at the device's own address, but at another
	Services     []string `json:"services"`      // tcp_open and udp_answering, each with what it was heard to speak: "tcp/2323 telnet", "tcp/9000 unknown"
	Complete     bool     `json:"complete"`      // each TCP port was open, closed, or silent in every try while a port that answers went on answering; at every address, and there is none that could not be tried
	AliveBefore  bool     `json:"alive_before"`  // control: the device was healthy and a port of it answered
	AliveAfter   bool     `json:"alive_after"`   // control: as before
	Seconds      float64  `json:"seconds"`       // from the first to the last try: 4.2
}

const (
	maxListed = 64 // of a device that answers everywhere this is enough to name, and comparing stays cheap
	recovers  = 5  // seconds that a device gets to take breath after the scan
)

// Ask scans between two looks at the device's health.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	if p.FirstPort < 1 || p.LastPort > 65535 || p.FirstPort > p.LastPort || p.Rate < 0 {
		return nil, fmt.Errorf("exposure/services: ports %d to %d at rate %d: %w", p.FirstPort, p.LastPort, p.Rate, probes.ErrBench)
	}
	f := Facts{TCPOpen: []string{}, UDPAnswering: []string{}, UDPClosed: []string{}, UDPSilent: []string{}, Services: []string{}, Addresses: []string{}, Unscanned: []string{}, IPv6Only: []string{}}
	healthy, err := health(ctx, b)
	if err != nil {
		return nil, err
	}
	if !healthy {
		return f, nil // a scan of a device that is not there takes long and tells nothing
	}
	begun := b.Clock.Now()
	scan, err := b.Scanner.Scan(ctx, probes.ScanRequest{First: p.FirstPort, Last: p.LastPort, UDP: p.UDP, Rate: p.Rate})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("exposure/services: %w", err)
	}
	f.Seconds = b.Clock.Now().Sub(begun).Seconds()
	f.UDPAsked = p.UDP
	f.note(scan)
	for wait := 0; ; wait++ {
		if healthy, err = health(ctx, b); err != nil {
			return nil, err
		}
		if healthy || wait == recovers {
			break
		}
		if err := b.Clock.Wait(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	f.AliveBefore, f.AliveAfter = scan.AliveBefore, scan.AliveAfter && healthy
	return f, nil
}

// note writes down what answered.
func (f *Facts) note(s probes.Scan) {
	f.PortsTried, f.TCPOpenCount, f.TCPSilent, f.Complete = s.Tried, len(s.TCP), s.Silent, s.Complete && len(s.Unscanned) == 0
	f.Addresses, f.Unscanned = append(f.Addresses, s.Addresses...), append(f.Unscanned, s.Unscanned...)
	for _, port := range s.TCP[:min(len(s.TCP), maxListed)] {
		name := fmt.Sprintf("tcp/%d", port.Number)
		f.TCPOpen = append(f.TCPOpen, name)
		f.serves(name, port)
	}
	for _, port := range s.UDP {
		name := fmt.Sprintf("udp/%d", port.Number)
		switch port.State {
		case probes.PortOpen:
			f.UDPAnswering = append(f.UDPAnswering, name)
			f.serves(name, port)
		case probes.PortClosed:
			f.UDPClosed = append(f.UDPClosed, name)
		case probes.PortSilent:
			f.UDPSilent = append(f.UDPSilent, name)
		}
	}
}

func (f *Facts) serves(name string, port probes.Port) {
	service := name + " " + string(port.Speaks)
	f.Services = append(f.Services, service)
	if port.Only6 {
		f.IPv6Only = append(f.IPv6Only, service)
	}
}

// health asks for the device's health where the dossier says how; where not, the scan's own control stands alone.
func health(ctx context.Context, b *probes.Bench) (bool, error) {
	if !slices.Contains(b.Device.Operations(), probes.Health) {
		return true, nil
	}
	r, err := b.Device.Do(ctx, probes.Health, nil)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("exposure/services: health: %w", err)
	}
	return r.Outcome == probes.Done, nil
}
