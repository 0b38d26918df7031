package refdevice

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"assay/firmware/mcuboot"
)

// ManufactureOptions say what to make. Only Now has no default.
type ManufactureOptions struct {
	Flaws   []string
	Units   int       // default 2
	Ports   Ports     // zero: DefaultPorts
	Network Network   // zero: DHCP on eth0
	Cloud   string    // host:port; default cloud.thermostat.example:8883
	Now     time.Time // date of manufacture: certificates begin a day before it
	Rand    io.Reader // for serials, labels and filler; default crypto/rand. Keys never come from it.
}

// maxUnits bounds a batch; a dossier of more would be no reference any more.
const maxUnits = 100

// A Product is what Manufacture made. Every path lies in Dir.
type Product struct {
	Dir     string
	Dossier string // dossier.yaml
	Units   []Unit
	Images  []Image // oldest first

	FirmwareKey    string // PEM private key: who has it is the maker
	FirmwarePublic string // PEM public key
	Root           string // PEM certificate: root of devices and cloud
	RootKey        string // PEM private key
	CloudCert      string // PEM chain for the cloud's names
	CloudKey       string // PEM private key
}

// A Unit is one specimen as it leaves the factory.
type Unit struct {
	ID     string
	Serial string
	MAC    string
	Label  Label
	Config string // device.json
	Flash  string // flash.bin
}

// An Image is one signed firmware image.
type Image struct {
	Version string
	Counter uint32
	File    string
	SHA256  string // hex
}

// factory is a batch in the making.
type factory struct {
	ManufactureOptions
	flaws    flawSet
	product  *Product
	signer   *ecdsa.PrivateKey
	root     *authority
	firmware []byte // the installed image
}

// Manufacture makes a product in a folder: the maker's keys, signed images, units with
// labels, flash and configuration, and the dossier that declares it all. The folder
// holds secrets; its files are for their owner only.
func Manufacture(dir string, o ManufactureOptions) (*Product, error) {
	flaws, err := parseFlaws(o.Flaws)
	if err != nil {
		return nil, fmt.Errorf("manufacture: %w", err)
	}
	if o.Now.IsZero() {
		return nil, errors.New("manufacture: no date")
	}
	f := &factory{ManufactureOptions: o.withDefaults(), flaws: flaws, product: &Product{Dir: dir}}
	if f.Units < 1 || f.Units > maxUnits {
		return nil, fmt.Errorf("manufacture: %d units, want 1 to %d", f.Units, maxUnits)
	}
	for _, step := range []func() error{f.makeKeys, f.makeCloud, f.makeImages, f.makeAdvisories, f.makeUnits, f.makeDossier} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("manufacture: %w", err)
		}
	}
	return f.product, nil
}

func (o ManufactureOptions) withDefaults() ManufactureOptions {
	if o.Units == 0 {
		o.Units = 2
	}
	if o.Ports == (Ports{}) {
		o.Ports = DefaultPorts()
	}
	if o.Network == (Network{}) {
		o.Network = Network{Mode: ModeDHCP, Interface: "eth0"}
	}
	if o.Cloud == "" {
		o.Cloud = CloudHost + ":8883"
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return o
}

// write puts a file below the product's folder and returns its path.
func (f *factory) write(b []byte, name ...string) (string, error) {
	path := filepath.Join(append([]string{f.product.Dir}, name...)...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, b, 0o600)
}

func (f *factory) makeKeys() error {
	var err error
	if f.signer, err = newKey(); err != nil {
		return err
	}
	if f.root, err = newAuthority(f.Now); err != nil {
		return err
	}
	public, err := publicPEM(&f.signer.PublicKey)
	if err != nil {
		return err
	}
	if f.product.FirmwarePublic, err = f.write(public, "keys", "firmware.pub.pem"); err != nil {
		return err
	}
	if f.product.FirmwareKey, err = f.writeKey(f.signer, "firmware.key"); err != nil {
		return err
	}
	if f.product.Root, err = f.write(certificatePEM(f.root.certificate), "keys", "root.pem"); err != nil {
		return err
	}
	f.product.RootKey, err = f.writeKey(f.root.key, "root.key")
	return err
}

func (f *factory) writeKey(key *ecdsa.PrivateKey, name string) (string, error) {
	b, err := privatePEM(key)
	if err != nil {
		return "", err
	}
	return f.write(b, "keys", name)
}

// makeCloud issues the cloud's certificate. It also holds on loopback, for the reduced bench.
func (f *factory) makeCloud() error {
	names := []string{CloudHost, UpdatesHost, TimeHost, "localhost"}
	cert, key, err := f.root.issue(CloudHost, names, net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	if err != nil {
		return err
	}
	if f.product.CloudCert, err = f.write(certificatePEM(cert, f.root.certificate), "keys", "cloud.pem"); err != nil {
		return err
	}
	f.product.CloudKey, err = f.writeKey(key, "cloud.key")
	return err
}

// releases are the maker's firmware so far. Each has a higher security counter than the one before.
func releases() []mcuboot.Spec {
	return []mcuboot.Spec{
		{Version: mcuboot.Version{Minor: 9}, SecurityCounter: 1},
		{Version: mcuboot.Version{Major: 1}, SecurityCounter: 2},
		{Version: mcuboot.Version{Major: 1, Minor: 1}, SecurityCounter: 3},
		{Version: mcuboot.Version{Major: 1, Minor: 2}, SecurityCounter: 4},
	}
}

// delivered is what units leave the factory with, whatever their papers say.
func (f *factory) delivered() mcuboot.Spec {
	if f.flaws.has(AnotherVersion) {
		return releases()[2]
	}
	return releases()[1]
}

func (f *factory) makeImages() error {
	for _, spec := range releases() {
		version := spec.Version.String()
		var err error
		if spec.Payload, err = f.payload(version); err != nil {
			return fmt.Errorf("make image %s: %w", version, err)
		}
		b, err := mcuboot.Build(spec, f.signer)
		if err != nil {
			return err
		}
		if version == f.delivered().Version.String() {
			f.firmware = b
		}
		path, err := f.write(b, "images", "firmware-"+version+".bin")
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		f.product.Images = append(f.product.Images, Image{
			Version: version, Counter: spec.SecurityCounter, File: path, SHA256: hex.EncodeToString(sum[:]),
		})
	}
	return nil
}

// unitID is the n-th unit's, from 1.
func unitID(n int) string { return "unit-" + strconv.Itoa(n) }
