package refdevice

import (
	"bytes"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"assay/firmware"
)

// canary is planted as user data and must be gone after a reset.
const canary = "canary-7f3a9b2c41"

func TestCleanDeviceBoots(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	require.Equal(t, InstalledVersion, u.running())
	u.await("cloud status", func() bool { return u.retained()["status"] != "" })
	require.JSONEq(t, `{"version":"1.0.0","state":"ok"}`, u.retained()["status"])
	require.Contains(t, u.log.String(), "clock set")
	code, text, err := u.coapAsk(codes.GET, "/version", u.config.Serial, u.psk(), "")
	require.NoError(t, err)
	require.Equal(t, codes.Content, code)
	require.JSONEq(t, `{"version":"1.0.0"}`, text)
}

func TestPowerAndButton(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	u.publish(topicNote, "remember me")
	u.control("power off", "ok power off")
	require.Zero(t, u.health(), "no answer without supply")
	pristine := u.flash()
	u.control("power off", "ok power off")
	u.control("button reset 10", "ok button reset")
	require.Equal(t, pristine, u.flash(), "without supply nothing writes")
	u.control("power on", "ok power on")
	u.await("healthy again", func() bool { return u.health() == http.StatusOK })
	require.Equal(t, map[string]string{topicNote: "remember me"}, u.topics(1))
	u.control("button reset 1", "ok button reset")
	u.control("button light 10", "ok button light")
	require.Equal(t, http.StatusOK, u.health())
}

func TestLoginsAndLockout(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	for range lockoutAfter {
		status, _ := u.login("admin", "wrong password")
		require.Equal(t, http.StatusUnauthorized, status)
		_, err := u.mqtt(u.label.MQTTUser, "wrong password")
		require.Equal(t, errConnack(5), err)
	}
	status, _ := u.login(u.label.AdminUser, u.label.AdminPassword)
	require.Equal(t, http.StatusTooManyRequests, status)
	_, err := u.mqtt(u.label.MQTTUser, u.label.MQTTPassword)
	require.Equal(t, errConnack(3), err)
	u.await("the locks open", func() bool {
		status, _ := u.login(u.label.AdminUser, u.label.AdminPassword)
		c, err := u.mqtt(u.label.MQTTUser, u.label.MQTTPassword)
		if err == nil {
			c.Disconnect(0)
		}
		return status == http.StatusOK && err == nil
	})
	for _, anonymous := range []string{"/api/profile", "/api/accounts"} {
		status, _ := u.ask("GET", anonymous, "", nil)
		require.NotEqual(t, http.StatusOK, status)
		status, _ = u.ask("GET", anonymous, "made-up-token", nil)
		require.NotEqual(t, http.StatusOK, status)
	}
	_, err = u.mqtt("", "")
	require.Equal(t, errConnack(5), err)
}

func TestPSK(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	for _, c := range []struct {
		name, identity string
		key            []byte
	}{
		{"wrong key", u.config.Serial, []byte("0123456789abcdef")},
		{"unknown identity", "nobody", u.psk()},
		{"default", "admin", []byte("admin")},
	} {
		_, _, err := u.coapAsk(codes.GET, "/location", c.identity, c.key, "")
		require.ErrorContains(t, err, "DecryptError", c.name+": refused, not left waiting")
	}
	_, _, err := u.coapAsk(codes.GET, "/version", "", nil, "")
	require.Error(t, err, "no CoAP without DTLS")
}

// variants are what the maker did not make, and an older image that it did.
func variants(t *testing.T, u *unit) map[string][]byte {
	t.Helper()
	found := map[string][]byte{"older": u.image("0.9.0")}
	for _, v := range []string{firmware.Tampered, firmware.TamperedPlain, firmware.Unsigned, firmware.WrongKey, firmware.WrongKeyForged} {
		b, err := firmware.Tamper(firmware.FromBytes(u.image("1.1.0")), v, firmware.Means{})
		require.NoError(t, err)
		found[v] = b.Bytes
	}
	return found
}

// update asks for an update and waits for its end: the version that runs, or how the cloud was told that it was refused.
func (u *unit) update(via string, image []byte) (version, refusal string) {
	u.t.Helper()
	url := u.offer(via, image)
	before := u.running()
	seen := strings.Count(u.log.String(), "update not installed")
	status, _ := u.ask("POST", "/api/update", u.owner(), map[string]string{"url": url})
	require.Equal(u.t, http.StatusAccepted, status)
	u.await("the update ends", func() bool {
		version = u.running()
		if version != "" && version != before {
			return true
		}
		refusal = u.retained()["status"]
		return strings.Count(u.log.String(), "update not installed") > seen && strings.Contains(refusal, `"update":"`)
	})
	return u.running(), refusal
}

func TestUpdates(t *testing.T) {
	for _, via := range []string{viaHTTPS, viaCoAP} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			u := newWorld(t).boot()
			for name, image := range variants(t, u) {
				version, refusal := u.update(via, image)
				require.Equal(t, InstalledVersion, version, name)
				require.Contains(t, refusal, "image refused", name)
				require.Equal(t, http.StatusOK, u.health(), name)
				slot, err := (&flash{file: openFile(t, u.config.Flash)}).read(slots[1])
				require.NoError(t, err)
				require.Equal(t, erased(slotSize), slot, "%s: a refused image is erased", name)
			}
			version, refusal := u.update(via, u.image(InstalledVersion))
			require.Equal(t, InstalledVersion, version)
			require.Contains(t, refusal, "installed already")
			version, refusal = u.update(via, bytes.Repeat([]byte{1}, slotSize+1))
			require.Equal(t, InstalledVersion, version)
			require.Contains(t, refusal, "more than a slot")
			version, _ = u.update(via, u.image("1.1.0"))
			require.Equal(t, "1.1.0", version)
			u.await("the cloud knows", func() bool { return strings.Contains(u.retained()["status"], `"1.1.0"`) })
			version, _ = u.update(via, u.image("1.2.0"))
			require.Equal(t, "1.2.0", version)
			u.control("power off", "ok power off")
			u.control("power on", "ok power on")
			u.await("1.2.0 after a cut", func() bool { return u.running() == "1.2.0" })
		})
	}
}

func TestUpdateByCloud(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	u.await("cloud status", func() bool { return u.retained()["status"] != "" })
	command := `{"update":"` + u.offer(viaCoAP, u.image("1.1.0")) + `"}`
	require.NoError(t, u.cloud.Publish("thermostat/"+u.config.Serial+"/command", []byte(command), false, 1))
	u.await("1.1.0", func() bool { return u.running() == "1.1.0" })
}

func TestUpdateFromStranger(t *testing.T) {
	t.Parallel()
	w, stranger := newWorld(t), newWorld(t)
	u := w.boot()
	_, refusal := u.update(viaHTTPS, u.image(InstalledVersion)) // so that the cloud holds an outcome
	require.NotEmpty(t, refusal)
	stranger.offer(viaHTTPS, u.image("1.1.0"))
	_, port, _ := net.SplitHostPort(stranger.updates.Listener.Addr().String())
	status, _ := u.ask("POST", "/api/update", u.owner(), map[string]string{"url": "https://" + net.JoinHostPort(UpdatesHost, port) + "/firmware.bin"})
	require.Equal(t, http.StatusAccepted, status)
	u.await("the stranger's certificate is refused", func() bool { return strings.Contains(u.retained()["status"], "unknown authority") })
	require.Equal(t, InstalledVersion, u.running())
	for _, url := range []string{"", "http://updates.thermostat.example/", "file:///etc/passwd", "https://", "https://x/" + strings.Repeat("a", maxURL)} {
		status, _ := u.ask("POST", "/api/update", u.owner(), map[string]string{"url": url})
		require.Equal(t, http.StatusBadRequest, status, url)
	}
}

func TestBootloaderFallsBack(t *testing.T) {
	t.Parallel()
	u := newWorld(t).boot()
	version, _ := u.update(viaHTTPS, u.image("1.1.0"))
	require.Equal(t, "1.1.0", version)
	u.control("power off", "ok power off")
	chip := u.flash()
	chip[slots[1].offset+5000] ^= 1
	writeFlash(t, u.config.Flash, chip)
	u.control("power on", "ok power on")
	// 1.0.0 is whole, but below the security counter: a broken image must not bring an old one back.
	u.await("recovery", func() bool { return strings.Contains(u.log.String(), "recovery") })
	require.Zero(t, u.health())
	u.control("power off", "ok power off")
	chip[slots[1].offset+5000] ^= 1
	writeFlash(t, u.config.Flash, chip)
	u.control("power on", "ok power on")
	u.await("1.1.0 again", func() bool { return u.running() == "1.1.0" })
	u.control("power off", "ok power off")
	copy(chip[slots[0].offset:], erased(slotSize))
	copy(chip[slots[0].offset:], u.image("1.2.0"))
	writeFlash(t, u.config.Flash, chip)
	u.control("power on", "ok power on")
	u.await("the newer valid image", func() bool { return u.running() == "1.2.0" })
}

// plant stores the canary through every interface and adds an account.
func (u *unit) plant() {
	u.t.Helper()
	token := u.owner()
	for path, body := range map[string]any{
		"/api/profile":  map[string]string{"name": canary, "wifi_key": canary + "-wifi", "email": canary + "@example.org"},
		"/api/accounts": loginRequest{"guest", "guest's password"},
	} {
		status, answer := u.ask("PUT", path, token, body)
		require.Equal(u.t, http.StatusOK, status, answer)
	}
	code, _, err := u.coapAsk(codes.PUT, "/location", u.config.Serial, u.psk(), canary)
	require.NoError(u.t, err)
	require.Equal(u.t, codes.Changed, code)
	u.publish(topicNote, canary)
	require.Equal(u.t, map[string]string{topicNote: canary}, u.topics(1))
	status, _ := u.login("guest", "guest's password")
	require.Equal(u.t, http.StatusOK, status)
	require.Contains(u.t, string(u.flash()), canary)
	u.await("the cloud knows the name", func() bool {
		kept := u.retained()
		return strings.Contains(kept["profile"], canary) && strings.Contains(kept["status"], canary)
	})
}

// wipe asks for a factory reset and waits until the device is back.
func (u *unit) wipe(by string) {
	u.t.Helper()
	starts := strings.Count(u.log.String(), "msg=started")
	if by == byButton {
		u.control("button reset 10", "ok button reset")
	} else {
		status, _ := u.ask("POST", "/api/factory-reset", u.owner(), nil)
		require.Equal(u.t, http.StatusAccepted, status)
	}
	u.await("back after the reset", func() bool {
		return strings.Count(u.log.String(), "msg=started") > starts && u.health() == http.StatusOK
	})
}

// residue is where the canary, or what it opened, was found after a reset.
func (u *unit) residue() []string {
	u.t.Helper()
	require.NotContains(u.t, u.log.String(), canary, "the log holds no user data")
	found := []string{}
	_, profile := u.ask("GET", "/api/profile", u.owner(), nil)
	_, location, err := u.coapAsk(codes.GET, "/location", u.config.Serial, u.psk(), "")
	require.NoError(u.t, err)
	if strings.Contains(strings.Join([]string{profile["name"].(string), profile["wifi_key"].(string), profile["email"].(string), location}, " "), canary) {
		found = append(found, "api")
	}
	if chip := u.flash(); bytes.Contains(chip, []byte(canary)) || holdsBase64(chip) {
		found = append(found, "flash")
	}
	u.await("the cloud hears of the device", func() bool { return u.retained()["status"] != "" })
	if kept := u.retained(); strings.Contains(kept["profile"]+kept["status"], canary) {
		found = append(found, "retained")
	}
	// Nobody can see DHCP on loopback: the log of the last start tells whether the host name would be the owner's.
	if log := u.log.String(); strings.Contains(log[strings.LastIndex(log, "msg=started"):], "named=true") {
		found = append(found, "traffic")
	}
	if status, _ := u.login("guest", "guest's password"); status == http.StatusOK {
		found = append(found, "login")
	}
	return found
}

// holdsBase64 looks for the canary at each of the three alignments of base64.
func holdsBase64(chip []byte) bool {
	for i := range 3 {
		if bytes.Contains(chip, []byte(base64.RawStdEncoding.EncodeToString([]byte(canary)[i:i+12]))) {
			return true
		}
	}
	return false
}
