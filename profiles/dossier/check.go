package dossier

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"assay/firmware"
	"assay/profiles"
	"assay/profiles/strict"
)

// What a state may be.
const (
	FactoryDefault = "factory-default"
	Commissioned   = "commissioned"
)

// What an anchor may be for.
const (
	ForFirmware = "firmware"
	ForDevice   = "device"
)

const (
	maxPEM    = 256 << 10
	maxAnchor = 8 << 20
	maxImage  = 256 << 20
)

var (
	namePattern    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	versionPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,3}([-+][0-9A-Za-z.-]+)?$`)
	hostPattern    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:%-]*[A-Za-z0-9])?$`)
)

// A checker holds a dossier against the rules that its types do not express.
type checker struct {
	doc *strict.Doc
	d   *Dossier
	dir string
}

func (c *checker) run(features []profiles.Feature) {
	c.identity()
	if date := c.d.Product.Date; date != "" {
		c.text(field{form: "date"}, date, "product.date", nil)
	}
	c.features(features)
	c.ics()
	c.documents()
	c.rows()
	c.operations()
	c.images()
	c.advisories()
	c.anchors()
	c.cloud()
	c.unfinished()
	for i, u := range c.d.Units {
		for _, name := range slices.Sorted(maps.Keys(u.Logins)) {
			c.login(fmt.Sprintf("units[%d].logins.%s", i, name), u, name)
		}
	}
}

func (c *checker) filled(key, value string) {
	if strings.TrimSpace(value) == "" {
		c.doc.Complain(key, "is missing or empty")
	}
}

// identity checks what every judgement names: format, product, units.
func (c *checker) identity() {
	d := c.d
	if d.Assay != Version {
		c.doc.Complain("assay", "wants %q as the first line's value, found %q", Version, d.Assay)
	}
	c.filled("product.manufacturer", d.Product.Manufacturer)
	c.filled("product.model", d.Product.Model)
	c.filled("product.firmware", d.Product.Firmware)
	if len(d.Units) == 0 {
		c.doc.Complain("units", "is missing or empty: name at least the unit on the bench")
	}
	ids, macs := map[string]bool{}, map[string]bool{}
	for i, u := range d.Units {
		key := fmt.Sprintf("units[%d]", i)
		c.filled(key+".id", u.ID)
		if u.ID != "" && ids[u.ID] {
			c.doc.Complain(key+".id", "there is another unit %q: every unit needs an id of its own", u.ID)
		}
		ids[u.ID] = true
		if u.MAC != "" {
			mac, err := net.ParseMAC(u.MAC)
			switch {
			case err != nil || len(mac) != 6:
				c.doc.Complain(key+".mac", "%q is not a MAC address: write six bytes, e.g. 02:00:00:12:34:56", u.MAC)
			case macs[mac.String()]:
				c.doc.Complain(key+".mac", "there is another unit with %q", u.MAC)
			default:
				macs[mac.String()] = true
			}
		}
		if u.State != "" && u.State != FactoryDefault && u.State != Commissioned {
			c.doc.Complain(key+".state", "is %q, wants %s or %s", u.State, FactoryDefault, Commissioned)
		}
		if u.Host != "" && !hostPattern.MatchString(u.Host) {
			c.doc.Complain(key+".host", "%q is not an address or a host name", u.Host)
		}
	}
}

// login reads a login's secret.
func (c *checker) login(key string, u Unit, name string) {
	l := u.Logins[name]
	if !namePattern.MatchString(name) {
		c.doc.Complain(key, "%q is not the name of an interface: use lower case letters, digits and -", name)
	}
	if !l.Password.given {
		c.doc.Complain(key+".password", "is missing: write it, or {file: path}, or {env: NAME}")
		return
	}
	if err := l.Password.resolve(c.dir); err != nil {
		c.doc.Complain(key+".password", "%v", err)
	}
	u.Logins[name] = l
}

// features refuses unknown names. A denial without its reason is read: the judge fails it.
func (c *checker) features(known []profiles.Feature) {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.Name
	}
	for _, name := range slices.Sorted(maps.Keys(c.d.Features)) {
		key := "features." + name
		if !slices.Contains(names, name) {
			c.doc.Complain(key, "there is no such feature%s", strict.Suggest(name, names))
		} else if !c.doc.Has(key + ".present") {
			c.doc.Complain(key, "does not say whether it is present: write present: true or present: false")
		} else if f := c.d.Features[name]; !f.Present && strings.TrimSpace(f.Because) == "" {
			c.note(key, "is denied without a reason, so what depends on it will fail: write because")
		}
	}
}

func (c *checker) images() {
	seen := map[string]bool{}
	for i, img := range c.d.Images {
		key := fmt.Sprintf("images[%d]", i)
		if !versionPattern.MatchString(img.Version) {
			c.doc.Complain(key+".version", "%q is not a version: write it as the device reports it, e.g. 1.1.0", img.Version)
		} else if seen[img.Version] {
			c.doc.Complain(key+".version", "there is another image of version %q", img.Version)
		}
		seen[img.Version] = true
		if img.SHA256 != "" {
			if b, err := hex.DecodeString(img.SHA256); err != nil || len(b) != 32 {
				c.doc.Complain(key+".sha256", "is not a SHA-256: write 64 hexadecimal digits")
			}
		}
		c.exists(key+".file", img.File)
		if img.Signature != "" {
			c.exists(key+".signature", img.Signature)
		}
	}
}

// advisories holds the snapshot to a folder and a day: without a day nobody can say what was known.
func (c *checker) advisories() {
	a := c.d.Advisories
	if a == nil {
		return
	}
	if _, err := time.Parse(time.DateOnly, a.Dated); err != nil {
		c.doc.Complain("advisories.dated", "%q is not a day: write when the snapshot was taken, e.g. 2026-11-20", a.Dated)
	}
	if a.SHA256 != "" {
		if b, err := hex.DecodeString(a.SHA256); err != nil || len(b) != 32 {
			c.doc.Complain("advisories.sha256", "is not a SHA-256: write 64 hexadecimal digits")
		}
	}
	if a.Folder == "" {
		c.doc.Complain("advisories.folder", "is missing or empty")
	} else if info, err := os.Stat(c.d.Path(a.Folder)); err != nil || !info.IsDir() {
		c.doc.Complain("advisories.folder", "%s is no folder that can be read", a.Folder)
	}
}

// exists looks for a file without reading it.
func (c *checker) exists(key, name string) {
	if name == "" {
		c.doc.Complain(key, "is missing or empty")
		return
	}
	path := c.d.Path(name)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		c.doc.Complain(key, "%v", fileError(path, err))
	case !info.Mode().IsRegular():
		c.doc.Complain(key, "%s is not a file", filepath.ToSlash(path))
	case info.Size() > maxImage:
		c.doc.Complain(key, "%s has more than %d bytes", filepath.ToSlash(path), int64(maxImage))
	}
}

// anchors checks that each file holds PEM keys or certificates and nothing private.
func (c *checker) anchors() {
	for i, a := range c.d.Trust {
		key := fmt.Sprintf("trust[%d]", i)
		if a.For != ForFirmware && a.For != ForDevice {
			c.doc.Complain(key+".for", "is %q, wants %s or %s", a.For, ForFirmware, ForDevice)
		}
		if a.For != ForFirmware && a.Purpose+a.Signer+a.Issuer != "" {
			c.doc.Complain(key, "purpose, signer and issuer are asked of what signs firmware: remove them, or write for: firmware")
		}
		c.anchor(key+".file", a)
	}
}

// anchor checks PEM as ever, and lets the formats of signed firmware say what else they read.
func (c *checker) anchor(key string, a Anchor) {
	b, err := readFile(c.dir, a.File, maxAnchor)
	if a.For != ForFirmware || a.File == "" || err != nil || bytes.Contains(b, []byte("-----BEGIN ")) && !bytes.Contains(b, []byte("-----BEGIN PGP ")) {
		c.pem(key, a.File)
		return
	}
	if _, err := firmware.ParseTrust(firmware.Anchor{From: a.File, Bytes: b}); err != nil {
		c.doc.Complain(key, "cannot be trusted for firmware: %v", err)
	}
}

func (c *checker) pem(key, name string) {
	if name == "" {
		c.doc.Complain(key, "is missing or empty")
		return
	}
	rest, err := readFile(c.dir, name, maxPEM)
	if err != nil {
		c.doc.Complain(key, "%v", err)
		return
	}
	found := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		found++
		switch block.Type {
		case "CERTIFICATE":
			_, err = x509.ParseCertificate(block.Bytes)
		case "PUBLIC KEY":
			_, err = x509.ParsePKIXPublicKey(block.Bytes)
		default:
			c.doc.Complain(key, "holds a PEM block %q: only certificates and public keys belong here", block.Type)
			return
		}
		if err != nil {
			c.doc.Complain(key, "holds a %s that does not parse: is the file damaged?", strings.ToLower(block.Type))
			return
		}
	}
	if found == 0 {
		c.doc.Complain(key, "holds no PEM certificate or public key")
	}
}

func (c *checker) cloud() {
	if c.d.Cloud == nil {
		return
	}
	if len(c.d.Cloud.Hosts) == 0 {
		c.doc.Complain("cloud.hosts", "is missing or empty: name what the device resolves, or remove cloud")
	}
	for i, h := range c.d.Cloud.Hosts {
		if !hostPattern.MatchString(h) {
			c.doc.Complain(fmt.Sprintf("cloud.hosts[%d]", i), "%q is not a host name", h)
		}
	}
	c.pem("cloud.certificate", c.d.Cloud.Certificate)
	c.privateKey("cloud.key", &c.d.Cloud.Key)
	if i := c.d.Cloud.Issuer; i != nil {
		c.pem("cloud.issuer.certificate", i.Certificate)
		c.privateKey("cloud.issuer.key", &i.Key)
	}
}

// privateKey reads a key's secret.
func (c *checker) privateKey(key string, s *Secret) {
	if !s.given {
		c.doc.Complain(key, "is missing: write {file: path} or {env: NAME}")
	} else if err := s.resolve(c.dir); err != nil {
		c.doc.Complain(key, "%v", err)
	} else if block, _ := pem.Decode([]byte(s.value)); block == nil {
		c.doc.Complain(key, "holds no PEM private key")
	}
}

// Path returns where a file that the dossier names is.
func (d *Dossier) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.Dir, filepath.FromSlash(name))
}
