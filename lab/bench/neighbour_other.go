//go:build !linux

package bench

import (
	"context"
	"net"
)

// neighbour cannot be told here.
func neighbour(context.Context, string, string) (net.HardwareAddr, error) { return nil, nil }
