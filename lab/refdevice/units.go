package refdevice

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
)

func (f *factory) makeUnits() error {
	for n := 1; n <= f.Units; n++ {
		if err := f.makeUnit(n); err != nil {
			return fmt.Errorf("make %s: %w", unitID(n), err)
		}
	}
	return nil
}

func (f *factory) makeUnit(n int) error {
	mac := net.HardwareAddr{0x02, 0x54, 0x31, 0, 0, 0} // locally administered (IEEE 802c)
	if _, err := io.ReadFull(f.Rand, mac[3:]); err != nil {
		return err
	}
	tail, err := drawText(f.Rand, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 6)
	if err != nil {
		return err
	}
	u := Unit{ID: unitID(n), Serial: "T100-" + tail, MAC: mac.String()}
	var first *Label
	if n > 1 {
		first = &f.product.Units[0].Label
	}
	if u.Label, err = newLabel(f.flaws, mac, first, f.Rand); err != nil {
		return err
	}
	if u.Flash, err = f.makeFlash(u); err != nil {
		return err
	}
	if err := f.writeLabel(u); err != nil {
		return err
	}
	if u.Config, err = f.writeConfig(u); err != nil {
		return err
	}
	f.product.Units = append(f.product.Units, u)
	return nil
}

// writeLabel keeps the secrets one per file, as a dossier may name them.
func (f *factory) writeLabel(u Unit) error {
	for name, secret := range map[string]string{
		"admin-password": u.Label.AdminPassword, "mqtt-password": u.Label.MQTTPassword, "coap-psk": hexSecret + u.Label.PSK,
	} {
		if _, err := f.write([]byte(secret), "units", u.ID, "label", name); err != nil {
			return err
		}
	}
	return nil
}

func (f *factory) writeConfig(u Unit) (string, error) {
	c := Config{
		Serial: u.Serial, MAC: u.MAC, Flash: "flash.bin",
		Network: f.Network, Ports: f.Ports, Cloud: f.Cloud, Flaws: f.ManufactureOptions.Flaws,
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", err
	}
	return f.write(append(b, '\n'), "units", u.ID, "device.json")
}

// makeFlash fills a chip: bootloader state, factory record, the installed firmware in slot A, no data.
func (f *factory) makeFlash(u Unit) (string, error) {
	chip := erased(flashSize)
	put := func(r region, b []byte) error {
		if int64(len(b)) > r.size {
			return fmt.Errorf("%s: %d bytes do not fit into %d", r.name, len(b), r.size)
		}
		copy(chip[r.offset:], b)
		return nil
	}
	key, err := x509.MarshalPKIXPublicKey(&f.signer.PublicKey)
	if err != nil {
		return "", err
	}
	installed := f.delivered()
	boot, err := encodeSector(0, bootState{
		Key: key, Counter: installed.SecurityCounter, Pending: noSlot, Via: [2]string{viaFactory, ""},
	}, bootSectorSize)
	if err != nil {
		return "", err
	}
	record, err := f.factoryRecord(u)
	if err != nil {
		return "", err
	}
	factory, err := encodeSector(0, record, factoryRegion.size)
	if err != nil {
		return "", err
	}
	for _, part := range []struct {
		to region
		b  []byte
	}{{bootSectors[0], boot}, {factoryRegion, factory}, {slots[0], f.firmware}, {banks[0], encodeBankHeader(1)}} {
		if err := put(part.to, part.b); err != nil {
			return "", err
		}
	}
	return f.write(chip, "units", u.ID, "flash.bin")
}

func (f *factory) factoryRecord(u Unit) (factoryRecord, error) {
	r := factoryRecord{
		Serial: u.Serial, MAC: u.MAC, Made: f.Now.UTC(),
		AdminUser: u.Label.AdminUser, MQTTUser: u.Label.MQTTUser, CA: f.root.certificate.Raw,
	}
	var err error
	if r.AdminPassword, err = hashPassword(u.Label.AdminPassword); err != nil {
		return r, err
	}
	if r.MQTTPassword, err = hashPassword(u.Label.MQTTPassword); err != nil {
		return r, err
	}
	if r.PSK, err = hex.DecodeString(u.Label.PSK); err != nil {
		return r, err
	}
	name := strings.ToLower(u.Serial) + ".thermostat.example"
	cert, key, err := f.root.issue(u.Serial, []string{name}, net.IPv4(127, 0, 0, 1))
	if err != nil {
		return r, err
	}
	r.Certificate = cert.Raw
	r.Key, err = x509.MarshalPKCS8PrivateKey(key)
	return r, err
}
