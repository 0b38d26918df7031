package refdevice

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// hexSecret marks a pre-shared key in a dossier that is written in hex digits.
const hexSecret = "hex:"

// dossierText is the dossier with names in capitals where a product differs.
//
//go:embed dossier.in.yaml
var dossierText string

// makeDossier fills in the dossier.
func (f *factory) makeDossier() error {
	port := strconv.Itoa
	text := strings.NewReplacer(
		"@MANUFACTURER@", Manufacturer,
		"@MODEL@", Model,
		"@FIRMWARE@", InstalledVersion,
		"@CLOUD@", CloudHost,
		"@UPDATES@", UpdatesHost,
		"@TIME@", TimeHost,
		"@HTTPS@", port(f.Ports.HTTPS),
		"@MQTT@", port(f.Ports.MQTT),
		"@COAPS@", port(f.Ports.CoAPS),
		"@COAP@", port(f.Ports.CoAP),
		"@LOCKOUT_AFTER@", port(lockoutAfter),
		"@LOCKOUT_SECONDS@", port(int(lockoutLasts.Seconds())),
		"@UNITS@", f.dossierUnits(),
		"@IMAGES@", f.dossierImages(),
		"@TODAY@", f.Now.UTC().Format("2006-01-02"),
	).Replace(dossierText)
	var err error
	f.product.Dossier, err = f.write([]byte(text), "dossier.yaml")
	return err
}

// dossierUnits shows both ways to give a secret: the first unit's are in files, the others' in place.
func (f *factory) dossierUnits() string {
	var b strings.Builder
	for i, u := range f.product.Units {
		secret := func(_, value string) string { return strconv.Quote(value) }
		if i == 0 {
			b.WriteString("  # The unit on the bench. Its secrets lie in files beside this one.\n")
			secret = func(file, _ string) string { return fmt.Sprintf("{file: units/%s/label/%s}", u.ID, file) }
		} else if i == 1 {
			b.WriteString("  # Of the others only the labels matter: what opens one unit must not open another.\n")
		}
		fmt.Fprintf(&b, "  - id: %s\n    serial: %s\n    mac: %q\n    state: factory-default\n", u.ID, u.Serial, u.MAC)
		if f.Network.Mode == ModeLoopback {
			fmt.Fprintf(&b, "    host: %q\n", f.Network.Host)
		}
		fmt.Fprintf(&b, "    logins:\n")
		fmt.Fprintf(&b, "      http: {username: %s, password: %s}\n", u.Label.AdminUser, secret("admin-password", u.Label.AdminPassword))
		fmt.Fprintf(&b, "      mqtt: {username: %s, password: %s}\n", u.Label.MQTTUser, secret("mqtt-password", u.Label.MQTTPassword))
		fmt.Fprintf(&b, "      coap: {username: %s, password: %s}\n", u.Serial, secret("coap-psk", hexSecret+u.Label.PSK))
	}
	return strings.TrimRight(b.String(), "\n")
}

func (f *factory) dossierImages() string {
	var b strings.Builder
	for _, i := range f.product.Images {
		fmt.Fprintf(&b, "  - file: images/%s\n    version: %s\n    sha256: %s\n", filepath.Base(i.File), i.Version, i.SHA256)
	}
	return strings.TrimRight(b.String(), "\n")
}
