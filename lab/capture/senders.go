package capture

import (
	"net"
	"slices"
)

// maxSenders bounds what a host that invents addresses can make us remember.
const maxSenders = 256

// Senders lists the hardware addresses from which frames came in so far, in the order in which they were heard, and no more than a
// few hundred of them. What this machine sent is not among them.
func (c *Capture) Senders() []net.HardwareAddr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.senders)
}

// hear notes a new sender. heard is the collector's own, so that an old one costs no lock.
func (c *Capture) hear(heard map[[6]byte]bool, p packet) {
	if p.outbound || len(p.data) < 12 || len(heard) >= maxSenders {
		return
	}
	mac := [6]byte(p.data[6:12])
	if heard[mac] {
		return
	}
	heard[mac] = true
	c.mu.Lock()
	c.senders = append(c.senders, mac[:])
	c.mu.Unlock()
}
