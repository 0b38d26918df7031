package refdevice

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"
)

// A reset that lost its supply is finished by the next start.
func TestResetSurvivesPowerCut(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	u.plant()
	u.control("power off", "ok power off")
	f, err := openFlash(u.config.Flash)
	require.NoError(t, err)
	boot, err := openBootloader(f, policy{})
	require.NoError(t, err)
	require.NoError(t, boot.change(func(s *bootState) { s.Wiping, s.Forget = true, true }))
	require.NoError(t, f.close())
	u.control("power on", "ok power on")
	u.await("healthy", func() bool { return u.health() == http.StatusOK })
	u.await("forgotten by the cloud", func() bool {
		kept := u.retained()
		return kept["status"] != "" && !strings.Contains(kept["status"]+kept["profile"], canary)
	})
	require.Empty(t, u.residue())
}

// The cloud hears of a reset that took place while it was away.
func TestResetWithoutCloud(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.boot()
	u.plant()
	kept := w.config.Cloud
	u.control("power off", "ok power off")
	f, err := openFlash(u.config.Flash)
	require.NoError(t, err)
	boot, err := openBootloader(f, policy{})
	require.NoError(t, err)
	require.False(t, boot.current().Forget)
	require.NoError(t, f.close())

	w.config.Cloud = "127.0.0.1:" + strconv.Itoa(freePorts(t, 1)[0])
	require.NoError(t, u.stdin.Close())
	require.NoError(t, <-u.done)
	u.done <- nil
	away := w.boot()
	away.wipe(byCommand)
	require.Contains(t, u.retained()["profile"], canary, "nobody could tell the cloud")
	require.NoError(t, away.stdin.Close())
	require.NoError(t, <-away.done)
	away.done <- nil
	w.config.Cloud = kept
	back := w.boot()
	back.await("forgotten by the cloud", func() bool {
		kept := back.retained()
		return kept["status"] != "" && !strings.Contains(kept["status"]+kept["profile"], canary)
	})
}

// What a stranger or a careless owner sends is bounded.
func TestLimits(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	token := u.owner()
	for _, c := range []struct {
		method, path string
		body         any
		want         int
	}{
		{"PUT", "/api/profile", map[string]string{"name": strings.Repeat("x", maxBody)}, http.StatusRequestEntityTooLarge},
		{"PUT", "/api/profile", map[string]string{"name": strings.Repeat("x", maxField+1)}, http.StatusUnprocessableEntity},
		{"PUT", "/api/profile", map[string]string{"nickname": "x"}, http.StatusBadRequest},
		{"PUT", "/api/profile", "text", http.StatusBadRequest},
		{"PUT", "/api/accounts", loginRequest{"guest", "short"}, http.StatusUnprocessableEntity},
		{"PUT", "/api/accounts", loginRequest{"admin", "long enough"}, http.StatusConflict},
		{"DELETE", "/api/profile", nil, http.StatusMethodNotAllowed},
		{"GET", "/", nil, http.StatusNotFound},
	} {
		status, _ := u.ask(c.method, c.path, token, c.body)
		require.Equal(t, c.want, status, "%s %s", c.method, c.path)
	}
	for i := range maxAccounts + 1 {
		status, _ := u.ask("PUT", "/api/accounts", token, loginRequest{"guest" + strconv.Itoa(i), "long enough"})
		require.Equal(t, i == maxAccounts, status == http.StatusUnprocessableEntity, i)
	}
	for range maxSessions {
		u.owner()
	}
	status, _ := u.ask("GET", "/api/profile", token, nil)
	require.Equal(t, http.StatusUnauthorized, status, "the oldest session ended")
	code, _, err := u.coapAsk(codes.PUT, "/location", u.config.Serial, u.psk(), strings.Repeat("x", maxText+1))
	require.NoError(t, err)
	require.Equal(t, codes.RequestEntityTooLarge, code)
	code, _, err = u.coapAsk(codes.GET, "/nothing", u.config.Serial, u.psk(), "")
	require.NoError(t, err)
	require.Equal(t, codes.NotFound, code)
	u.publish(topicName, "Kitchen")
	require.Equal(t, map[string]string{topicName: "Kitchen"}, u.topics(1))
	_, profile := u.ask("GET", "/api/profile", u.owner(), nil)
	require.Equal(t, "Kitchen", profile["name"])
	require.Equal(t, http.StatusOK, u.health())
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"kitchen": "kitchen", "Küche 2": "K-che-2", "-a-": "a", "": "", "日本": "", strings.Repeat("x", 80): strings.Repeat("x", 63),
	} {
		require.Equal(t, want, hostName(name), name)
	}
}
