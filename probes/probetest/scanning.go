package probetest

import (
	"context"
	"slices"

	"assay/probes"
)

// scanner knocks at the scripted ports.
type scanner struct{ t *Thermostat }

func (s scanner) Scan(ctx context.Context, r probes.ScanRequest) (probes.Scan, error) {
	if err := s.t.use(ctx); err != nil {
		return probes.Scan{}, err
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	e := s.t.script.Exposing
	out := probes.Scan{Addresses: []string{"192.0.2.100"}, Unscanned: e.Unscanned, Tried: r.Last - r.First + 1, Silent: e.Drops, Complete: !e.Flickers, AliveBefore: !e.Dark, AliveAfter: !e.Dark && !e.Unplugged}
	for _, p := range append([]probes.Port{{Number: 8443, Speaks: probes.SpeaksTLS}, {Number: 8884, Speaks: probes.SpeaksTLS}}, e.More...) {
		if p.Number >= r.First && p.Number <= r.Last && !slices.Contains(e.Shut, p.Number) {
			p.State = probes.PortOpen
			out.TCP = append(out.TCP, p)
		}
	}
	slices.SortFunc(out.TCP, func(a, b probes.Port) int { return a.Number - b.Number })
	if e.Everywhere {
		out.TCP = nil
		for port := r.First; port <= r.Last; port++ {
			out.TCP = append(out.TCP, probes.Port{Number: port, State: probes.PortOpen, Speaks: probes.SpeaksUnknown})
		}
	}
	if r.UDP {
		out.UDP = []probes.Port{
			{Number: 53, State: probes.PortClosed, Speaks: probes.SpeaksUnknown},
			{Number: 5353, State: probes.PortSilent, Speaks: probes.SpeaksUnknown},
			{Number: 5683, State: probes.PortClosed, Speaks: probes.SpeaksUnknown},
			{Number: 5684, State: probes.PortOpen, Speaks: probes.SpeaksDTLS},
		}
		if e.PlainCoAP {
			out.UDP[2].State, out.UDP[2].Speaks = probes.PortOpen, probes.SpeaksCoAP
		}
	}
	if e.Topples {
		s.t.updates.sick = true
	}
	return out, nil
}
