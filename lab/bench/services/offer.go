package services

import (
	"crypto/sha256"
	"fmt"
	"net"
	"sync"

	"assay/probes"
)

// offer is one image on the update server, with a mark for every byte that was sent.
type offer struct {
	of    *Updates
	via   string
	path  string
	url   string
	image []byte
	tag   [8]byte // entity tag
	unit  string  // whom it is for; empty: for everybody
	from  func(net.Addr) bool

	mu      sync.Mutex // guards the rest
	fetched probes.Fetched
	sent    []uint64 // one bit for each byte
	left    int      // bytes never sent
	astray  bool     // somebody else has asked for it
}

func newOffer(of *Updates, via, path, url string, image []byte) *offer {
	o := &offer{of: of, via: via, path: path, url: url, image: append([]byte(nil), image...), left: len(image)}
	sum := sha256.Sum256(image)
	copy(o.tag[:], sum[:])
	o.sent = make([]uint64, (len(image)+63)/64)
	return o
}

// isFor tells whether a caller may have it. That another unit asks is told once: what made one unit fetch made another, too.
func (o *offer) isFor(caller net.Addr) bool {
	if o.from == nil || caller != nil && o.from(caller) {
		return true
	}
	o.mu.Lock()
	first := !o.astray
	o.astray = true
	o.mu.Unlock()
	if first && o.of.o.Log != nil {
		o.of.o.Log(fmt.Sprintf("updates: the image for %s is asked for by %v, and not given", o.unit, caller))
	}
	return false
}

// URL is where the device finds the image.
func (o *offer) URL() string { return o.url }

// Fetched tells how much of it has been asked for so far.
func (o *offer) Fetched() probes.Fetched {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.fetched
	f.Complete = o.left == 0 && f.Requests > 0
	return f
}

// Close withdraws the image.
func (o *offer) Close() error {
	o.of.withdraw(o.path)
	return nil
}

func (o *offer) asked() {
	o.mu.Lock()
	first := o.fetched.Requests == 0
	o.fetched.Requests++
	o.mu.Unlock()
	if first && o.of.o.Log != nil {
		o.of.o.Log("updates: an image is fetched over " + o.via)
	}
}

func (o *offer) gave(offset, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fetched.Bytes += int64(n)
	for i := offset; i < offset+n && i < len(o.image); i++ {
		if bit := uint64(1) << (i % 64); o.sent[i/64]&bit == 0 {
			o.sent[i/64] |= bit
			o.left--
		}
	}
}

// tookBack takes back what gave counted and the network did not take. A byte that was sent before counts as
// unsent again: rather too little than too much.
func (o *offer) tookBack(offset, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fetched.Bytes -= int64(n)
	for i := offset; i < offset+n && i < len(o.image); i++ {
		if bit := uint64(1) << (i % 64); o.sent[i/64]&bit != 0 {
			o.sent[i/64] &^= bit
			o.left++
		}
	}
}
