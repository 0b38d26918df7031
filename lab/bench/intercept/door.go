package intercept

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"assay/probes"
)

// A door takes TLS connections at one way in, terminates them under the present scenario, and hands
// what is inside to whoever accepts from it.
type door struct {
	of    *Interceptor
	via   string
	raw   []net.Listener
	ready chan net.Conn
	seats chan struct{} // one taken by each connection, until it is closed
	ctx   context.Context
	stop  context.CancelFunc
	wait  sync.WaitGroup

	mu   sync.Mutex // guards the rest
	open map[net.Conn]struct{}
}

// Door opens a way in at TCP listeners, which Close closes too. url is where a device finds it. The
// connections that it yields are decrypted; their handshake is done.
func (i *Interceptor) Door(ctx context.Context, via, url string, raw ...net.Listener) net.Listener {
	i.mu.Lock()
	i.gate(via, url)
	i.mu.Unlock()
	d := &door{
		of: i, via: via, raw: raw, ready: make(chan net.Conn), seats: make(chan struct{}, maxSeats), open: map[net.Conn]struct{}{},
	}
	d.ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx)) // a run that is stopped still closes its doors in order
	for _, l := range raw {
		d.wait.Go(func() { d.listen(l) })
	}
	return d
}

func (d *door) listen(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if d.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, or a caller that has gone again: only a closed listener ends the service.
			pause(d.ctx, 10*time.Millisecond)
			continue
		}
		select {
		case d.seats <- struct{}{}:
			d.wait.Go(func() { d.take(c) })
		default:
			_ = c.Close()
		}
	}
}

// take does the handshake and hands the connection on.
func (d *door) take(raw net.Conn) {
	place := &seat{Conn: raw, door: d}
	w := d.of.admit(d.via, place)
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, handshakeTime)
	defer cancel()
	conn := tls.Server(w.raw, w.config())
	w.Conn = conn
	if err := conn.HandshakeContext(ctx); err != nil {
		w.note(func(c *call) { c.Alert = place.alert() })
		w.over(err)
		_ = w.raw.Close() // the library has sent its alert, if any
		return
	}
	s := conn.ConnectionState()
	w.finished(tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.DidResume)
	select {
	case d.ready <- w:
	case <-d.ctx.Done():
		_ = w.Close()
	}
}

// Accept waits for a decrypted connection.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ready:
		return c, nil
	case <-d.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr is the first listener's.
func (d *door) Addr() net.Addr { return d.raw[0].Addr() }

// Close stops listening and hangs up on everybody.
func (d *door) Close() error {
	d.stop()
	var errs []error
	for _, l := range d.raw {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	d.mu.Lock()
	left := make([]net.Conn, 0, len(d.open))
	for c := range d.open {
		left = append(left, c)
	}
	d.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
	d.wait.Wait()
	return errors.Join(errs...)
}

// A seat is a raw connection that gives its place back once. It remembers the last bytes that came in.
type seat struct {
	net.Conn
	door *door
	once sync.Once

	mu   sync.Mutex // guards tail
	tail []byte
}

// Read notes the last bytes.
func (s *seat) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.mu.Lock()
		s.tail = append(s.tail, p[max(0, n-alertLength):n]...)
		s.tail = append(s.tail[:0:0], s.tail[max(0, len(s.tail)-alertLength):]...)
		s.mu.Unlock()
	}
	return n, err
}

// alert is the one in clear that the connection ended with, if it did.
func (s *seat) alert() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return alertInClear(s.tail)
}

// Close hangs up.
func (s *seat) Close() error {
	s.once.Do(func() {
		s.door.mu.Lock()
		delete(s.door.open, s)
		s.door.mu.Unlock()
		<-s.door.seats
	})
	return s.Conn.Close()
}

// A watched connection notes what comes through it.
type watched struct {
	net.Conn          // decrypted, once the handshake has begun
	raw      net.Conn // as the network carries it
	of       *Interceptor
	chain    *tls.Certificate
	scenario probes.Scenario
	call     *call // nil: a stranger's

	// Guarded by the interceptor's lock.
	stage   *stage
	goodbye func() error
}

// admit writes a connection down under what answers at present. Nil: the door is closed.
func (i *Interceptor) admit(via string, s *seat) *watched {
	whose := i.caller(s.RemoteAddr())
	s.door.mu.Lock()
	s.door.open[s] = struct{}{}
	closed := s.door.ctx.Err() != nil
	s.door.mu.Unlock()
	if closed {
		_ = s.Close()
		return nil
	}
	return i.enter(via, s, whose)
}

// enter makes the record of a connection.
func (i *Interceptor) enter(via string, raw net.Conn, whose *Unit) *watched {
	i.mu.Lock()
	defer i.mu.Unlock()
	g := i.gates[via]
	w := &watched{raw: raw, of: i, stage: g.base, goodbye: raw.Close}
	switch {
	case g.rehearsal.of(raw.RemoteAddr()):
		w.stage = g.rehearsal.stage
	case whose != nil:
		l := whose.lines[via]
		w.stage = l.now
		w.call = &call{Call: probes.Call{At: i.o.Now(), Scenario: w.stage.scenario}}
		l.calls = newest(l.calls, w.call)
		w.stage.calls = newest(w.stage.calls, w.call)
	}
	w.chain, w.scenario = w.stage.chain, w.stage.scenario
	w.stage.conns[w] = struct{}{}
	return w
}

// newest keeps the last calls that can be kept.
func newest(calls []*call, c *call) []*call {
	if len(calls) >= maxCalls {
		calls = append(calls[:0:0], calls[1:]...)
	}
	return append(calls, c)
}

// config is how this connection is answered. Every handshake is a whole one: a device that could go on
// with a session of an earlier scenario would not look at the certificate of this one.
func (w *watched) config() *tls.Config {
	c := &tls.Config{
		Certificates: []tls.Certificate{*w.chain}, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			w.note(func(c *call) { c.hear(h) })
			return nil, nil
		},
	}
	if w.of.o.Keys != nil {
		c.KeyLogWriter = w.of.o.Keys
	}
	if w.scenario == probes.OldVersion {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	// Small clients have the key exchange of RSA alone, which the library leaves out by default; the better one goes first.
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		c.CipherSuites = append(c.CipherSuites, s.ID)
	}
	return c
}

// note changes what is known of the call.
func (w *watched) note(f func(*call)) {
	if w.call == nil {
		return
	}
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	f(w.call)
}

func (w *watched) finished(version, cipher string, resumed bool) {
	w.note(func(c *call) { c.Finished, c.Version, c.Cipher, c.Resumed = true, version, cipher, resumed })
}

// over takes the connection off the stage.
func (w *watched) over(err error) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	delete(w.stage.conns, w)
	if w.call != nil {
		w.call.ended(err)
	}
}

// Read notes how much the device said, and by which protocol.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.note(func(c *call) { c.said(p[:n]) })
	}
	if err != nil && !timedOut(err) {
		if errors.Is(err, io.EOF) {
			w.over(nil)
		} else {
			w.over(err)
		}
	}
	return n, err
}

// Close hangs up.
func (w *watched) Close() error {
	w.over(nil)
	err := w.Conn.Close()
	_ = w.raw.Close()
	return err
}

func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
