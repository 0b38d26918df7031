package refdevice

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
)

// An uplink is the device's place in a network.
type uplink struct {
	address  string // where it listens
	resolver resolver
	ntp      string // address:port of the time server; empty: look up the maker's

	// hold keeps the place until the context ends; an error means that it is lost.
	hold func(context.Context) error
	// leave gives it up.
	leave func()
}

// plug joins the network as the configuration says.
func plug(ctx context.Context, n Network, mac, name string, log *slog.Logger) (*uplink, error) {
	if n.Mode == ModeDHCP {
		return lease(ctx, n.Interface, mac, name, log)
	}
	up := &uplink{
		address: n.Host,
		ntp:     n.NTP,
		hold:    func(ctx context.Context) error { <-ctx.Done(); return nil },
		leave:   func() {},
	}
	if n.Resolver != "" {
		server, err := netip.ParseAddrPort(n.Resolver)
		if err != nil {
			return nil, fmt.Errorf("join the network: resolver: %w", err)
		}
		up.resolver.server = server
	}
	return up, nil
}
