package refdevice

import (
	"errors"
	"math"
	"net/http"
	"strconv"
)

// loginRequest is what both login and new accounts are asked with.
type loginRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func (l *life) getHealth(w http.ResponseWriter, _ *http.Request) {
	status, word := http.StatusOK, "ok"
	if l.broken.Load() {
		status, word = http.StatusServiceUnavailable, "failed"
	}
	say(w, status, map[string]string{"status": word, "version": l.version(), "serial": l.config.Serial})
}

func (l *life) postLogin(w http.ResponseWriter, r *http.Request) {
	var ask loginRequest
	if !hear(w, r, &ask) {
		return
	}
	if left := l.httpLock.remaining(); left > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(left.Seconds()))))
		say(w, http.StatusTooManyRequests, map[string]string{"error": "too many wrong logins"})
		return
	}
	right := l.knows(ask)
	l.httpLock.record(right)
	if !right {
		say(w, http.StatusUnauthorized, map[string]string{"error": "wrong name or password"})
		return
	}
	say(w, http.StatusOK, map[string]string{"token": l.sessions.start()})
}

// knows compares a login with the label and with the accounts of the users.
func (l *life) knows(ask loginRequest) bool {
	if l.flaws.has(AnyPassword) && ask.Username == l.id.AdminUser && ask.Password != "" {
		return true
	}
	if l.flaws.has(DefaultPassword) && ask.Username == "admin" && ask.Password == "admin" {
		return true
	}
	if equal(ask.Username, l.id.AdminUser) {
		return l.id.AdminPassword.matches(ask.Password)
	}
	if account, ok := l.store.account(ask.Username); ok {
		return account.matches(ask.Password)
	}
	// An unknown name takes as long as a known one.
	l.id.AdminPassword.matches(ask.Password)
	return false
}

func (l *life) getProfile(w http.ResponseWriter, _ *http.Request) {
	l.ram.mu.Lock()
	left := l.ram.profile
	l.ram.mu.Unlock()
	if left != nil {
		say(w, http.StatusOK, left)
		return
	}
	say(w, http.StatusOK, l.store.profile())
}

func (l *life) putProfile(w http.ResponseWriter, r *http.Request) {
	var change profileChange
	if !hear(w, r, &change) {
		return
	}
	stored(w, l.log, l.changeProfile(change))
}

// changeProfile stores a change and tells the cloud.
func (l *life) changeProfile(change profileChange) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.store.profile()
	if err := change.apply(&p); err != nil {
		return err
	}
	if err := l.store.setProfile(p); err != nil {
		return err
	}
	l.ram.mu.Lock()
	l.ram.profile = nil
	l.ram.mu.Unlock()
	l.cloud.tell()
	return nil
}

func (l *life) putAccount(w http.ResponseWriter, r *http.Request) {
	var ask loginRequest
	if !hear(w, r, &ask) {
		return
	}
	if equal(ask.Username, l.id.AdminUser) {
		say(w, http.StatusConflict, map[string]string{"error": "that name is taken"})
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stored(w, l.log, l.store.addAccount(ask.Username, ask.Password))
}

func (l *life) postUpdate(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		URL string `json:"url"`
	}
	if !hear(w, r, &ask) {
		return
	}
	switch err := l.askUpdate(r.Context(), ask.URL); {
	case err == nil:
		say(w, http.StatusAccepted, map[string]string{"status": "fetching"})
	case errors.Is(err, errBusy):
		say(w, http.StatusConflict, map[string]string{"error": err.Error()})
	default:
		say(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	}
}

func (l *life) postReset(w http.ResponseWriter, _ *http.Request) {
	say(w, http.StatusAccepted, map[string]string{"status": "resetting"})
	l.end(ending{reset: byCommand})
}
