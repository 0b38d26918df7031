package services

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"assay/probes"
)

const (
	maxHTTPConns = 32
	// slowest is how long one download over HTTPS may take.
	slowest = 10 * time.Minute
)

// UpdatesOptions says where images are served. A nil socket means that way does not exist.
type UpdatesOptions struct {
	HTTPS       net.Listener
	Certificate *tls.Certificate // for HTTPS; nil: what HTTPS yields is decrypted already
	HTTPSBase   string           // "https://updates.product.example:8444", as the device has to write it
	CoAP        []net.PacketConn // none: images are not served over CoAP
	CoAPBase    string
	Log         func(string)
}

// Updates is the bench's update server. It implements probes.Updates.
type Updates struct {
	o    UpdatesOptions
	web  *http.Server
	door *bounded
	done chan struct{}
	coap *datagrams

	mu     sync.Mutex // guards the rest
	offers map[string]*offer
	id     uint16 // CoAP message ID of answers to non-confirmable requests
}

// StartUpdates serves until Close, which closes the sockets too.
func StartUpdates(o UpdatesOptions) *Updates {
	u := &Updates{o: o, offers: map[string]*offer{}, done: make(chan struct{})}
	if len(o.CoAP) > 0 {
		u.coap = serveDatagrams(func(from net.Addr, in []byte) (net.Addr, []byte) { return from, u.answerCoAP(from, in) }, o.CoAP...)
	}
	if o.HTTPS == nil {
		close(u.done)
		return u
	}
	u.door = bound(o.HTTPS, maxHTTPConns)
	u.web = &http.Server{
		Handler:           http.HandlerFunc(u.serveHTTP),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: slowest, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 8 << 10,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	listener := terminate(u.door, o.Certificate)
	go func() {
		defer close(u.done)
		_ = u.web.Serve(listener) // ErrServerClosed, once Close was called
	}()
	return u
}

// Offer serves an image at an unguessable path until the offer is closed.
func (u *Updates) Offer(ctx context.Context, via string, image []byte) (probes.Offer, error) {
	return u.offer(ctx, via, image, "", nil)
}

// For is the update server as one of several units has it: what is offered there is given to that unit alone, whose
// calls from tells, and only what it fetched counts as fetched.
func (u *Updates) For(unit string, from func(net.Addr) bool) probes.Updates {
	return &allotted{of: u, unit: unit, from: from}
}

// allotted is an update server for one unit.
type allotted struct {
	of   *Updates
	unit string
	from func(net.Addr) bool
}

// Offer serves an image to the unit.
func (a *allotted) Offer(ctx context.Context, via string, image []byte) (probes.Offer, error) {
	return a.of.offer(ctx, via, image, a.unit, a.from)
}

func (u *Updates) offer(ctx context.Context, via string, image []byte, unit string, from func(net.Addr) bool) (probes.Offer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	base := ""
	switch {
	case via == "https" && u.web != nil:
		base = u.o.HTTPSBase
	case via == "coap" && u.coap != nil:
		base = u.o.CoAPBase
	default:
		return nil, fmt.Errorf("offer an image over %.16q: this bench does not serve that: %w", via, probes.ErrBench)
	}
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("offer an image over %s: %w", via, errors.Join(err, probes.ErrBench))
	}
	path := hex.EncodeToString(secret)
	o := newOffer(u, via, path, base+"/"+path+"/image", image)
	o.unit, o.from = unit, from
	u.mu.Lock()
	u.offers[path] = o
	u.mu.Unlock()
	return o, nil
}

// find returns the offer at a path ("TOKEN/image") of one way to a caller, or nil: where it is another unit's there is
// nothing for him.
func (u *Updates) find(via, path string, caller net.Addr) *offer {
	const tail = "/image"
	if len(path) <= len(tail) || path[len(path)-len(tail):] != tail {
		return nil
	}
	u.mu.Lock()
	o := u.offers[path[:len(path)-len(tail)]]
	u.mu.Unlock()
	if o == nil || o.via != via || !o.isFor(caller) {
		return nil
	}
	return o
}

func (u *Updates) withdraw(path string) {
	u.mu.Lock()
	delete(u.offers, path)
	u.mu.Unlock()
}

// Answer answers one datagram of CoAP as at the update server's own port, wherever it came in.
func (u *Updates) Answer(from net.Addr, datagram []byte) []byte { return u.answerCoAP(from, datagram) }

// Counts tells what the CoAP side met.
func (u *Updates) Counts() Counts {
	if u.coap == nil {
		return Counts{}
	}
	return u.coap.counts()
}

// Close ends the service and every offer.
func (u *Updates) Close() error {
	var errs []error
	if u.coap != nil {
		errs = append(errs, u.coap.close())
	}
	if u.web != nil {
		errs = append(errs, u.web.Close())
		if err := u.door.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	<-u.done
	return errors.Join(errs...)
}
