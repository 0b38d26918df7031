package capture

import (
	"context"
	"fmt"

	"assay/probes"
)

// Open starts a capture on an interface. It needs CAP_NET_RAW in the network namespace of the
// calling thread. The capture ends with Close, or with ctx.
func Open(ctx context.Context, o Options) (*Capture, error) {
	o, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("capture: %w: %w", probes.ErrNoCapture, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("capture on %s: %w", o.Interface, err)
	}
	from, err := openRing(o.Interface, o.RingBytes, o.Filter)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w: %w", o.Interface, probes.ErrNoCapture, err)
	}
	// The file comes second, so that a refused capture leaves none behind. The ring holds the frames meanwhile.
	file, head, err := create(o)
	if err != nil {
		_ = from.close()
		return nil, fmt.Errorf("capture on %s: %w: %w", o.Interface, probes.ErrNoCapture, err)
	}
	return begin(ctx, o, from, file, head), nil
}
