package format

// Variants of an image that a good device refuses. An older image is not among
// them: the maker signed it, only the maker has it.
const (
	// Tampered has one payload byte changed and every unkeyed checksum repaired, so
	// that nothing but the signature can catch it: it separates the devices that
	// check a signature from those that check a sum.
	Tampered = "tampered"
	// TamperedPlain has one payload byte changed and nothing repaired.
	TamperedPlain = "tampered-plain"
	// Unsigned has signature and key identification removed; the rest is consistent.
	Unsigned = "unsigned"
	// WrongKey is signed by a fresh key and consistent in itself: it names that key
	// and, where the format can, carries it, for devices that believe what the image brings along.
	WrongKey = "wrong-key"
	// WrongKeyForged is signed by a fresh key but still names the maker's, for
	// devices that stop at the name.
	WrongKeyForged = "wrong-key-forged-id"
)

// Variants lists all variants.
func Variants() []string {
	return []string{Tampered, TamperedPlain, Unsigned, WrongKey, WrongKeyForged}
}

// A Layer is where a good device refuses an image.
type Layer string

const (
	LayerStructure Layer = "structure" // parsing
	LayerHash      Layer = "hash"      // unkeyed checksums
	LayerTrust     Layer = "trust"     // choice of the key
	LayerSignature Layer = "signature" // the signature itself
)

// A Manifest tells how a variant differs from the genuine image.
type Manifest struct {
	Variant  string   `json:"variant"`
	Changed  []string `json:"changed"`            // what was changed, with offsets
	Repaired []string `json:"repaired,omitempty"` // checksums and lengths that were made consistent again
	Layer    Layer    `json:"layer"`              // where a good device refuses it
	Reason   error    `json:"-"`                  // the sentinel that our own verifier answers with
}
