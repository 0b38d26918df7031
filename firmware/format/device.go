package format

// A Device is what a device knows when it decides about a genuine image. What is left
// empty is not enforced.
type Device struct {
	Version string            // what it runs, as the format writes versions: anything older is refused
	Counter *uint64           // stored rollback counter (security counter, sequence number, secure version, monotonic count): less is refused
	Size    int64             // bytes of the slot
	Is      map[string]string // what it is, in the format's own words: compatible, device-type, chip-id, vendor-id, class-id, hardware ...
	Has     map[string]string // versions of its other parts, by their name in the format: "1": "1.0.0+0"
}
