//go:build !linux

package doctor

import "context"

// host knows nothing of other systems.
func (x *examination) host() {
	x.note("host", Warning, "clock and disk are examined on Linux only", "none by itself", "run assay on Linux for a bench of its own")
}

func offered(context.Context, string) string { return "" }
