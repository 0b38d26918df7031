// Package tls is what the questions about the device as a client of its cloud have in common. It
// asks nothing by itself.
package tls

import (
	"context"
	"fmt"
	"slices"

	"assay/probes"
)

// Caller returns the operation that makes the device call its cloud at one way in; empty where the dossier has none.
// A way to updates is one for HTTPS: the device calls to fetch what it is told of, and finds nothing there.
func Caller(d probes.Device, via string) string {
	operations := d.Operations()
	for _, name := range []string{probes.ConnectPrefix + via, probes.Connect, probes.UpdatePrefix + via} {
		if slices.Contains(operations, name) {
			return name
		}
	}
	return ""
}

// Call has the device call a stand by an operation. Whether it does shows at the stand.
func Call(ctx context.Context, d probes.Device, operation string, stand probes.Stand) error {
	_, err := d.Do(ctx, operation, probes.Args{probes.ArgURL: stand.URL() + "/"})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return nil
}
