package refdevice

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// maxBody bounds what the admin API reads of a request.
const maxBody = 8 << 10

// startAdmin opens the HTTPS API.
func (l *life) startAdmin(ctx context.Context) (func(time.Duration), error) {
	in, err := l.listen(ctx, l.config.Ports.HTTPS)
	if err != nil {
		return nil, fmt.Errorf("open the admin API: %w", err)
	}
	server := &http.Server{
		Handler:           l.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(tls.NewListener(in, l.id.serverTLS(l.clock))); !errors.Is(err, http.ErrServerClosed) {
			l.log.Error("admin API ended", "error", err)
		}
	}()
	return func(grace time.Duration) {
		if grace > 0 {
			polite, cancel := context.WithTimeout(ctx, grace)
			defer cancel()
			_ = server.Shutdown(polite) // what is not done by then is cut
		}
		_ = server.Close()
		in.cut()
		<-done
	}, nil
}

func (l *life) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", l.getHealth)
	mux.HandleFunc("POST /api/login", l.postLogin)
	mux.HandleFunc("GET /api/profile", l.guarded(l.getProfile, l.flaws.has(OpenHTTP)))
	mux.HandleFunc("PUT /api/profile", l.guarded(l.putProfile, false))
	mux.HandleFunc("PUT /api/accounts", l.guarded(l.putAccount, false))
	mux.HandleFunc("POST /api/update", l.guarded(l.postUpdate, false))
	mux.HandleFunc("POST /api/factory-reset", l.guarded(l.postReset, false))
	return mux
}

// guarded lets only open sessions through, unless the page is open to all.
func (l *life) guarded(h http.HandlerFunc, open bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !open && !(bearer && l.sessions.valid(token)) {
			say(w, http.StatusUnauthorized, map[string]string{"error": "login needed"})
			return
		}
		h(w, r)
	}
}

// say answers in JSON.
func say(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the caller may be gone
}

// hear reads one JSON value; false where it has answered already.
func hear(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return true
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		say(w, http.StatusRequestEntityTooLarge, map[string]string{"error": "too long"})
		return false
	}
	say(w, http.StatusBadRequest, map[string]string{"error": "not the expected JSON"})
	return false
}

// stored answers a request to keep something.
func stored(w http.ResponseWriter, log *slog.Logger, err error) {
	switch {
	case err == nil:
		say(w, http.StatusOK, map[string]string{"status": "stored"})
	case errors.Is(err, errTooLong), errors.Is(err, errWeak), errors.Is(err, errTooMany):
		say(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
	default:
		log.Error("not stored", "error", err)
		say(w, http.StatusInsufficientStorage, map[string]string{"error": "not stored"})
	}
}
