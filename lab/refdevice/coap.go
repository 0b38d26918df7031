package refdevice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/pkg/runner/periodic"
	"github.com/plgd-dev/go-coap/v3/udp"
	coapclient "github.com/plgd-dev/go-coap/v3/udp/client"
)

// How patient the CoAP servers are.
const (
	coapHandshake = 5 * time.Second
	coapIdle      = 60 * time.Second
)

// startCoAPS opens the CoAP API behind DTLS with the label's pre-shared key.
func (l *life) startCoAPS(ctx context.Context) (func(time.Duration), error) {
	in, err := listenPSK(l.listenAddress(l.config.Ports.CoAPS), l.psk)
	if err != nil {
		return nil, fmt.Errorf("open coaps: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	server := dtls.NewServer(
		options.WithContext(ctx),
		options.WithMux(l.coapRoutes()),
		options.WithErrors(func(err error) { l.log.Debug("coaps", "error", err) }),
		options.WithPeriodicRunner(periodic.New(ctx.Done(), time.Second)),
		options.WithDTLSHandshakeTimeout(coapHandshake),
		options.WithInactivityMonitor(coapIdle, func(c *coapclient.Conn) { _ = c.Close() }),
		options.WithMaxMessageSize(maxBody),
	)
	return serveCoAP(func() error { return server.Serve(in) }, server.Stop, in, cancel, l), nil
}

// startCoAP opens the same API without DTLS, which only a flawed device does.
func (l *life) startCoAP(ctx context.Context) (func(time.Duration), error) {
	if !l.flaws.has(OpenCoAP) {
		return func(time.Duration) {}, nil
	}
	in, err := coapnet.NewListenUDP("udp", l.listenAddress(l.config.Ports.CoAP))
	if err != nil {
		return nil, fmt.Errorf("open coap: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	server := udp.NewServer(
		options.WithContext(ctx),
		options.WithMux(l.coapRoutes()),
		options.WithErrors(func(err error) { l.log.Debug("coap", "error", err) }),
		options.WithPeriodicRunner(periodic.New(ctx.Done(), time.Second)),
		options.WithInactivityMonitor(coapIdle, func(c *coapclient.Conn) { _ = c.Close() }),
		options.WithMaxMessageSize(maxBody),
	)
	return serveCoAP(func() error { return server.Serve(in) }, server.Stop, in, cancel, l), nil
}

// serveCoAP runs a server and returns what stops it and waits for it.
func serveCoAP(serve func() error, halt func(), in io.Closer, cancel context.CancelFunc, l *life) func(time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve(); err != nil && !errors.Is(err, net.ErrClosed) && !coapnet.IsCancelOrCloseError(err) {
			l.log.Error("coap ended", "error", err)
		}
	}()
	return func(time.Duration) {
		cancel()
		_ = in.Close()
		halt()
		<-done
	}
}

// psk returns the key for an identity.
func (l *life) psk(identity []byte) ([]byte, error) {
	if l.flaws.has(DefaultPSK) && string(identity) == "admin" {
		return []byte("admin"), nil
	}
	if equal(string(identity), l.id.Serial) {
		return l.id.PSK, nil
	}
	return unknownKey()
}

func (l *life) coapRoutes() *mux.Router {
	r := mux.NewRouter()
	r.HandleFunc("/version", func(w mux.ResponseWriter, m *mux.Message) {
		l.reply(w, m, codes.Content, map[string]string{"version": l.version()})
	})
	r.HandleFunc("/health", func(w mux.ResponseWriter, m *mux.Message) {
		if l.broken.Load() {
			l.reply(w, m, codes.ServiceUnavailable, map[string]string{"status": "failed"})
			return
		}
		l.reply(w, m, codes.Content, map[string]string{"status": "ok", "version": l.version(), "serial": l.config.Serial})
	})
	r.HandleFunc("/location", l.location)
	r.DefaultHandleFunc(func(w mux.ResponseWriter, _ *mux.Message) { l.respond(w, codes.NotFound, message.TextPlain, nil) })
	return r
}

// reply answers a GET with JSON.
func (l *life) reply(w mux.ResponseWriter, m *mux.Message, code codes.Code, v any) {
	if m.Code() != codes.GET {
		l.respond(w, codes.MethodNotAllowed, message.TextPlain, nil)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		l.respond(w, codes.InternalServerError, message.TextPlain, nil)
		return
	}
	l.respond(w, code, message.AppJSON, b)
}

// location is user data: whatever text the owner puts there.
func (l *life) location(w mux.ResponseWriter, m *mux.Message) {
	switch m.Code() {
	case codes.GET:
		l.respond(w, codes.Content, message.TextPlain, []byte(l.store.text(keyLocation)))
	case codes.PUT:
		b, err := m.ReadBody()
		if err == nil {
			err = l.store.setText(keyLocation, b)
		}
		switch {
		case errors.Is(err, errTooLong):
			l.respond(w, codes.RequestEntityTooLarge, message.TextPlain, nil)
		case err != nil:
			l.log.Error("not stored", "error", err)
			l.respond(w, codes.InternalServerError, message.TextPlain, nil)
		default:
			l.respond(w, codes.Changed, message.TextPlain, nil)
		}
	default:
		l.respond(w, codes.MethodNotAllowed, message.TextPlain, nil)
	}
}

func (l *life) respond(w mux.ResponseWriter, code codes.Code, format message.MediaType, body []byte) {
	var content io.ReadSeeker
	if len(body) > 0 {
		content = bytes.NewReader(body)
	}
	if err := w.SetResponse(code, format, content); err != nil {
		l.log.Debug("coap answer lost", "error", err)
	}
}
