package drive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/net/responsewriter"
	"github.com/plgd-dev/go-coap/v3/tcp/client"

	"assay/probes"
)

const (
	settingsTake = time.Second            // for the device's CSM to come
	goodbyeTakes = 200 * time.Millisecond // for it to take back an observation
)

// coapStream carries out one CoAP request over TCP or TLS: RFC 8323.
func (r *run) coapStream(ctx context.Context, s step, ask coapAsk) (answer, error) {
	conn, err := dial(ctx, "tcp", ask.url.Host)
	if err != nil {
		return noReply(err)
	}
	defer func() { conn.Close() }()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if ask.secure {
		config := r.tlsConfig(ask.url.Hostname(), s.tls)
		config.NextProtos = []string{"coap"} // RFC 8323 8.2
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return noReply(err)
		}
		conn = secured
	}
	stream := &tap{Conn: conn, see: func([]byte) error { return nil }}
	c := newCoAPStream(ctx, stream, s.takes)
	reply, err := exchangeCoAP(ctx, c, stream, s, ask)
	if err != nil {
		return c.failure(ctx, err, stream)
	}
	return reply.answer(), nil
}

// A coapStream is the library's client over a stream, which remembers why it ended.
type coapStream struct {
	*client.Conn
	settled chan struct{} // the device's settings (CSM) have come

	mu  sync.Mutex
	end error
}

func newCoAPStream(ctx context.Context, conn net.Conn, takes time.Duration) *coapStream {
	cfg := client.DefaultConfig
	cfg.Ctx = ctx
	cfg.Errors = func(error) {}
	cfg.Handler = func(*responsewriter.ResponseWriter[*client.Conn], *pool.Message) {}
	cfg.MaxMessageSize = maxText
	cfg.MessagePool = pool.New(0, 0)
	cfg.BlockwiseTransferTimeout = takes
	s := &coapStream{settled: make(chan struct{})}
	s.Conn = client.NewConnWithOpts(coapnet.NewConn(conn), &cfg, client.WithBlockWise(func(c *client.Conn) *blockwise.BlockWise[*client.Conn] {
		return blockwise.New(c, takes, cfg.Errors, func(token message.Token) (*pool.Message, bool) {
			return c.GetObservationRequest(token)
		})
	}))
	var once sync.Once
	s.SetTCPSignalReceivedHandler(func(code codes.Code) {
		if code == codes.CSM {
			once.Do(func() { close(s.settled) })
		}
	})
	return s
}

// Run runs the client and keeps why it ended.
func (s *coapStream) Run() error {
	err := s.Conn.Run()
	s.mu.Lock()
	s.end = err
	s.mu.Unlock()
	return err
}

// Do awaits the device's settings before it asks: only they tell whether a long body may go
// block-wise. A device that sends none is asked all the same.
func (s *coapStream) Do(request *pool.Message) (*pool.Message, error) {
	s.settle()
	return s.Conn.Do(request)
}

// DoObserve is Do for observations.
func (s *coapStream) DoObserve(request *pool.Message, note func(*pool.Message)) (observation, error) {
	s.settle()
	return s.Conn.DoObserve(request, note)
}

func (s *coapStream) settle() {
	late := time.NewTimer(settingsTake)
	defer late.Stop()
	select {
	case <-s.settled:
	case <-late.C:
	case <-s.Context().Done():
	}
}

// failure says what a device did from the error that ended an exchange over a stream.
func (s *coapStream) failure(ctx context.Context, err error, stream *tap) (answer, error) {
	if errors.Is(err, probes.ErrBench) {
		return answer{}, err
	}
	_, fault := stream.state()
	s.mu.Lock()
	end := s.end
	s.mu.Unlock()
	switch {
	case fault != nil:
		return noReply(fault)
	case ctx.Err() != nil || timedOut(err) || timedOut(end):
		return answer{outcome: probes.Silent, detail: "connected, then no answer in time"}, nil
	case end != nil && !errors.Is(end, net.ErrClosed):
		return answer{outcome: probes.Malformed, detail: "not CoAP: " + plain(end)}, nil
	}
	return noReply(err)
}

// An observation is the library's; it can be taken back.
type observation = interface {
	Cancel(ctx context.Context, opts ...message.Option) error
	Canceled() bool
}

// A watch collects what an observation brings, within bounds.
type watch struct {
	first chan struct{} // the response has come
	news  chan struct{}

	mu    sync.Mutex
	reply coapReply
	began bool
}

// observeCoAP asks to observe (RFC 7641) and collects notifications until the recipe's success holds or the time is over.
func observeCoAP(ctx context.Context, c coapConn, request *pool.Message, s step) (coapReply, error) {
	w := &watch{first: make(chan struct{}), news: make(chan struct{}, 1), reply: coapReply{observes: true}}
	request.SetObserve(0)
	asking, cancel := context.WithTimeout(ctx, s.takes)
	defer cancel()
	request.SetContext(asking)
	o, err := c.DoObserve(request, w.note)
	if err != nil && !strings.Contains(err.Error(), "unexpected return code") { // that is a no, and noted
		return coapReply{}, err
	}
	select {
	case <-w.first:
	case <-asking.Done():
		return coapReply{}, fmt.Errorf("await the response: %w", asking.Err())
	}
	if err != nil || o.Canceled() {
		return w.state(), nil
	}
	w.listen(ctx, c, s)
	away, cancel := context.WithTimeout(ctx, goodbyeTakes)
	defer cancel()
	_ = o.Cancel(away)
	return w.state(), nil
}

func (w *watch) listen(ctx context.Context, c coapConn, s step) {
	w.mu.Lock()
	w.reply.granted = true
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.listen())
	defer cancel()
	for s.success == nil || !holds(s.success, w.state().fields()) {
		select {
		case <-w.news:
		case <-ctx.Done():
			return
		case <-c.Context().Done():
			w.mu.Lock()
			w.reply.dropped = ctx.Err() == nil
			w.mu.Unlock()
			return
		}
	}
}

// note takes the response, then notifications. The library calls it for one after the other.
func (w *watch) note(m *pool.Message) {
	body, err := bodyOf(m)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.began {
		w.began, w.reply.code, w.reply.body = true, m.Code(), body
		close(w.first)
		return
	}
	if len(w.reply.later) == maxMessages || len(w.reply.text)+len(body)+1 > maxText {
		return
	}
	w.reply.later = append(w.reply.later, coapFields(m.Code(), body))
	w.reply.text = append(append(w.reply.text, '\n'), body...)
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *watch) state() coapReply {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reply
}
