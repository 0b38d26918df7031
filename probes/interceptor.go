package probes

import (
	"context"
	"time"
)

// Interceptor answers for the device's cloud as somebody on its network could: at the cloud's own
// names, addresses and ports, with a certificate that is wrong in exactly one way. via is mqtts,
// https or coaps.
type Interceptor interface {
	// Stand hangs up on the device at one way in and presents a scenario there until the stand is
	// closed or another takes its place; then the genuine cloud answers again.
	Stand(ctx context.Context, via string, s Scenario) (Stand, error)
	// Calls lists the device's newest calls at one way in since the bench is up, the oldest first.
	Calls(ctx context.Context, via string) ([]Call, error)
}

// A Stand is one scenario while it is presented.
type Stand interface {
	// URL is where the device finds it: mqtts://cloud.product.example:8883.
	URL() string
	// Calls lists the device's calls under it so far, the oldest first.
	Calls() []Call
	Close() error
}

// The ways in that can be intercepted.
const (
	ViaMQTTS = "mqtts"
	ViaHTTPS = "https"
	ViaCoAPS = "coaps"
)

// Vias lists the ways in.
var Vias = []string{ViaMQTTS, ViaHTTPS, ViaCoAPS}

// Scenario is what answers for the cloud; a closed vocabulary. Strings in evidence are API.
type Scenario string

const (
	Genuine            Scenario = "genuine"              // the cloud's own chain: the control
	PassThrough        Scenario = "pass-through"         // nothing is touched, only watched
	UnknownCA          Scenario = "unknown-ca"           // a whole chain under a root that nobody trusts
	SelfSigned         Scenario = "self-signed"          // a certificate that vouches for itself
	WrongHost          Scenario = "wrong-host"           // under the product's root, for another name
	Expired            Scenario = "expired"              // under the product's root, no longer valid
	NotYetValid        Scenario = "not-yet-valid"        // under the product's root, valid later
	WrongEKU           Scenario = "wrong-eku"            // under the product's root, for clients only
	NonCAIssuer        Scenario = "non-ca-issuer"        // signed by a certificate that is no CA: basicConstraints CA:FALSE
	NoBasicConstraints Scenario = "no-basic-constraints" // signed by a certificate without basicConstraints
	WeakKey            Scenario = "weak-key"             // under the product's root, with RSA of 1024 bits
	OldVersion         Scenario = "old-version"          // the cloud's own chain over TLS 1.0 and 1.1 only
)

// Scenarios lists every scenario.
var Scenarios = []Scenario{
	Genuine, PassThrough, UnknownCA, SelfSigned, WrongHost, Expired, NotYetValid, WrongEKU,
	NonCAIssuer, NoBasicConstraints, WeakKey, OldVersion,
}

// A Call is one connection of the device to what answered for its cloud. Only what carries a
// ClientHello is one.
type Call struct {
	At       time.Time
	Scenario Scenario

	// What it offered.
	SNI         string
	Lowest      string // "TLS 1.2"; empty where it did not say
	Highest     string // "TLS 1.3"
	Ciphers     []uint16
	CipherNames []string
	Tickets     bool // it would take a session ticket
	Resumes     bool // it tried to go on with an earlier session (TLS 1.3)

	// What came of it.
	Finished bool   // the handshake was finished by both sides
	Resumed  bool   // it was no whole handshake
	Version  string // negotiated: "TLS 1.3"; empty where it did not come to that
	Cipher   string
	Alert    string // the device's own: "bad certificate"; many send one for every cause
	Ended    bool   // the connection is over

	// What the device said once it thought itself alone with its cloud.
	Bytes    int64  // application data
	Protocol string // of its first message: mqtt, http, coap, unknown; empty: it said nothing
}
