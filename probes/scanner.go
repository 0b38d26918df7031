package probes

import "context"

// Scanner finds out at which ports the device answers. It knocks as any stranger on the
// network can: it connects and hangs up, or asks one harmless question of the protocol.
type Scanner interface {
	// Scan tries every TCP port of a range and, where asked for, the UDP ports that the dossier
	// declares or that a well-known protocol uses: at the device's own address, and at every IPv6
	// address of it that can be found.
	Scan(ctx context.Context, r ScanRequest) (Scan, error)
}

// A ScanRequest says what to try.
type ScanRequest struct {
	First, Last int  // TCP ports, both included
	UDP         bool // the UDP ports too
	Rate        int  // TCP ports a second, at most; 0: what this bench thinks is fit
}

// A Scan is what answered at any address. A TCP port that is not in it was closed or silent.
type Scan struct {
	Addresses []string // that were tried, the device's own first
	// Unscanned tells which addresses, or which of IPv4 and IPv6, could not be tried, each with the reason. A scan with
	// one is not complete.
	Unscanned []string

	Tried  int    // TCP ports of each address
	TCP    []Port // open, in order
	Silent int    // TCP ports that let every try fall, of all addresses together
	UDP    []Port // every UDP port that was asked, in order
	// Complete says that every TCP port answered that it is open or closed, or let each of several
	// tries fall while a port that is known to answer went on answering.
	Complete bool
	// The controls: a port of the device answered before and after, and the same way.
	AliveBefore, AliveAfter bool
}

// A Port is one port and what was heard from it.
type Port struct {
	Number int
	State  PortState
	Speaks Speech
	Only6  bool // it answered over IPv6 and not at the device's own address
}

// PortState is what a port did.
type PortState string

const (
	PortOpen   PortState = "open"   // TCP: it took the connection; UDP: it sent something back
	PortClosed PortState = "closed" // the device said that nobody is there
	PortSilent PortState = "silent" // nothing came back
)

// Speech is the protocol that a port was heard to speak; a closed vocabulary. Strings in evidence are API.
type Speech string

const (
	SpeaksTelnet  Speech = "telnet" // options of RFC 854, or a prompt for a login
	SpeaksSSH     Speech = "ssh"
	SpeaksFTP     Speech = "ftp"
	SpeaksSMTP    Speech = "smtp"
	SpeaksVNC     Speech = "vnc"
	SpeaksHTTP    Speech = "http"
	SpeaksTLS     Speech = "tls"
	SpeaksMQTT    Speech = "mqtt"
	SpeaksCoAP    Speech = "coap"
	SpeaksDTLS    Speech = "dtls"
	SpeaksDNS     Speech = "dns"
	SpeaksMDNS    Speech = "mdns"
	SpeaksNTP     Speech = "ntp"
	SpeaksSNMP    Speech = "snmp"
	SpeaksSSDP    Speech = "ssdp"
	SpeaksTFTP    Speech = "tftp"
	SpeaksUnknown Speech = "unknown" // nothing that the bench knows
)
