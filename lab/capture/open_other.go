//go:build !linux

package capture

import (
	"context"
	"fmt"
	"runtime"

	"assay/probes"
)

// Open says that this system has no live capture here; captures of others can still be read.
func Open(_ context.Context, o Options) (*Capture, error) {
	return nil, fmt.Errorf("capture on %s: %w: live capture needs Linux, this is %s", o.Interface, probes.ErrNoCapture, runtime.GOOS)
}
