//go:build !linux

package refdevice

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
)

// lease needs raw sockets and netlink, which assay uses on Linux only.
func lease(_ context.Context, iface, _, _ string, _ *slog.Logger) (*uplink, error) {
	return nil, fmt.Errorf("lease an address on %s: network mode %s works on linux only, this is %s", iface, ModeDHCP, runtime.GOOS)
}
