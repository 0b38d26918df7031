package scan

import (
	"cmp"
	"context"
	"slices"

	"assay/probes"
)

// Answers tells whether any port of the device answers, be it that it is closed.
func (s *Scanner) Answers(ctx context.Context) (bool, error) {
	k := s.knocker(0)
	c, err := k.control(ctx, s.Controls)
	return c != nil, err
}

// Join adds what was found at another address of the device, over IPv6.
func Join(all *probes.Scan, six probes.Scan) {
	for _, p := range six.TCP {
		p.Only6 = true
		if at := slices.IndexFunc(all.TCP, func(q probes.Port) bool { return q.Number == p.Number }); at < 0 {
			all.TCP = append(all.TCP, p)
		} else if all.TCP[at].Speaks == probes.SpeaksUnknown {
			all.TCP[at].Speaks = p.Speaks
		}
	}
	slices.SortFunc(all.TCP, byNumber)
	for _, p := range six.UDP {
		at := slices.IndexFunc(all.UDP, func(q probes.Port) bool { return q.Number == p.Number })
		switch {
		case at < 0:
			all.UDP = append(all.UDP, p)
		case all.UDP[at].State == probes.PortOpen:
		case p.State == probes.PortOpen:
			p.Only6 = true
			all.UDP[at] = p
		case p.State == probes.PortSilent: // so it is not known to be closed
			all.UDP[at].State = probes.PortSilent
		}
	}
	slices.SortFunc(all.UDP, byNumber)
	all.Silent += six.Silent
	all.Complete = all.Complete && six.Complete
	all.AliveAfter = all.AliveAfter && (six.AliveAfter || !six.AliveBefore)
	all.Addresses = append(all.Addresses, six.Addresses...)
}

func byNumber(a, b probes.Port) int { return cmp.Compare(a.Number, b.Number) }
