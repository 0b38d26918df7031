package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"assay/lab/refdevice"
)

// Reduced builds a bench on loopback, where no namespaces are allowed: the device is a process on
// the same machine, addresses are not leased, and nothing is captured. What needs the segment or
// the capture is missing, and says so.
func Reduced(ctx context.Context, o Options) (*Bench, error) {
	b, err := newBench(ModeReduced, o)
	if err != nil {
		return nil, err
	}
	if err := b.reduced(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("build the reduced bench: %w", err), b.Close())
	}
	return b, nil
}

func (b *Bench) reduced(ctx context.Context, o Options) error {
	address := netip.MustParseAddr(loopback)
	s, err := serve(ctx, o.Dossier, serving{
		address: address, dns: true, ntp: true, broker: true, updates: true, anyPort: true, nameUpdates: true, log: o.Log,
		keys: b.keys,
	})
	if err != nil {
		return err
	}
	b.onClose(s.close)
	b.provide(s, o.Unit)
	m, err := prepare(o, func(c *refdevice.Config) {
		c.Network = refdevice.Network{
			Mode: refdevice.ModeLoopback, Host: loopback,
			Resolver: s.at["dns"].String(), NTP: s.at["ntp"].String(),
		}
		if s.broker != nil {
			c.Cloud = cloudAt(c.Cloud, s.at["mqtt over tls"].Port())
		}
	})
	if err != nil {
		return err
	}
	defer m.discard()
	b.knows(func() string { return loopback })
	p, err := b.startProcess(o, m.args, false)
	if err != nil {
		return err
	}
	b.onClose(func() error { p.close(); return nil })
	b.description.Device = "a process on the loopback interface of this machine"
	b.description.Notes = append(b.description.Notes, "DNS and NTP stand at ports that the device is told; there is no DHCP")
	return b.power(ctx, o, m, p, s, loopback, func() {})
}
