// Package standin is the small known-good device that a bench tests itself with: a process in a network namespace of
// its own that leases an address, resolves a name, asks for the time, calls the cloud, fetches an image, listens and
// refuses, one line of JSON after the other. It does each thing as a good device would and tells what it got; what was to be
// expected, the bench knows.
package standin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// What a stand-in can be told to do.
const (
	DoLease   = "lease"   // an address on Interface
	DoResolve = "resolve" // Name at Server
	DoTime    = "time"    // ask Server, Count times, each once
	DoBroker  = "broker"  // connect to At over TLS as Name, and speak MQTT
	DoHello   = "hello"   // a TLS handshake with At as Name
	DoFetch   = "fetch"   // URL, by way of At
	DoBeacon  = "beacon"  // send Count datagrams with Text to everybody
	DoListen  = "listen"  // at a port, and at another one not
)

// A Request is one thing to do.
type Request struct {
	Do        string   `json:"do"`
	Interface string   `json:"interface,omitempty"`
	Server    string   `json:"server,omitempty"` // address:port
	Name      string   `json:"name,omitempty"`
	At        string   `json:"at,omitempty"` // address:port
	URL       string   `json:"url,omitempty"`
	Count     int      `json:"count,omitempty"`
	Text      string   `json:"text,omitempty"`
	Roots     [][]byte `json:"roots,omitempty"` // certificates that are trusted
	Pin       []byte   `json:"pin,omitempty"`   // the one certificate that is trusted, whatever it says
}

// An Answer is what came of it.
type Answer struct {
	Error     string   `json:"error,omitempty"`
	Refused   bool     `json:"refused,omitempty"`   // the certificate was not trusted
	Address   string   `json:"address,omitempty"`   // leased
	Server    string   `json:"server,omitempty"`    // that leased it
	Router    string   `json:"router,omitempty"`    // told with it, and so are the next two
	DNS       []string `json:"dns,omitempty"`       //
	NTP       []string `json:"ntp,omitempty"`       //
	Addresses []string `json:"addresses,omitempty"` // of the name
	Code      string   `json:"code,omitempty"`      // NOERROR, NXDOMAIN ...
	Count     int      `json:"count,omitempty"`     // answers that came, datagrams that went
	OffsetMS  int64    `json:"offset_ms,omitempty"` // of the time that was told
	Bytes     int      `json:"bytes,omitempty"`
	SHA256    string   `json:"sha256,omitempty"`
	Open      int      `json:"open,omitempty"`
	Closed    int      `json:"closed,omitempty"`
}

const (
	maxLine = 256 << 10
	// Patience bounds one request; one exchange within it has less.
	Patience = 8 * time.Second
	exchange = 3 * time.Second
)

// Serve does what each line says until there is no further one.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	d := &device{}
	defer d.close()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	to := json.NewEncoder(out)
	for lines.Scan() {
		var r Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		a, err := d.do(ctx, r)
		if err != nil {
			a.Error = err.Error()
		}
		if err := to.Encode(a); err != nil {
			return fmt.Errorf("answer %s: %w", r.Do, err)
		}
	}
	return lines.Err()
}

// A device is what the stand-in has become so far.
type device struct {
	broadcast string // the address of everybody on its network
	closers   []func()
}

func (d *device) close() {
	for _, c := range d.closers {
		c()
	}
}

func (d *device) do(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	switch r.Do {
	case DoLease:
		return d.lease(ctx, r)
	case DoResolve:
		return resolve(ctx, r)
	case DoTime:
		return askTime(ctx, r)
	case DoBroker:
		return broker(ctx, r)
	case DoHello:
		return hello(ctx, r)
	case DoFetch:
		return fetch(ctx, r)
	case DoBeacon:
		return d.beacon(ctx, r)
	case DoListen:
		return d.listen(ctx)
	}
	return Answer{}, errors.New("there is no such thing to do")
}
