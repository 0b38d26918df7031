package bench

import "os"

// The environment tells a process of this program what it is for.
const (
	marker     = "ASSAY_BENCH"
	markInside = "inside" // it runs in the bench's namespaces
	markTrial  = "trial"  // it is the preflight's trial
	markGuest  = "guest"  // it is the known-good device of a bench's test of itself
)

// Inside tells whether this process was started by Enter.
func Inside() bool { return os.Getenv(marker) == markInside }
