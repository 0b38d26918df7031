package refdevice

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
)

// payloadSize is that of every firmware: an archive, and erased flash behind it.
const payloadSize = 24 << 10

// The library in the firmware and what is known of it: the reference snapshot speaks of versions before
// the safe one.
const (
	library        = "mbedtls"
	libraryVersion = "3.6.2-r1"
	libraryBefore  = "3.5.0-r1"
	librarySafe    = "3.6.1"
	advisoryID     = "T100-2026-0001"
)

// payload makes the contents of a firmware image: an archive with the files of a small thermostat, its
// heating schedule among them, and a table of calibration that differs in every batch.
func (f *factory) payload(version string) ([]byte, error) {
	files, err := f.files(version)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, file := range files {
		h := &tar.Header{Name: file.name, Mode: 0o600, Size: int64(len(file.text)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, file.text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if b.Len() > payloadSize {
		return nil, fmt.Errorf("%d bytes of files do not fit into %d", b.Len(), payloadSize)
	}
	b.Write(erased(payloadSize - b.Len()))
	return b.Bytes(), nil
}

type file struct{ name, text string }

// files are those of a firmware. It is the one place where the flaws of its contents act.
func (f *factory) files(version string) ([]file, error) {
	mbedtls, shadow := libraryVersion, "root:*:20000:0:99999:7:::\n"
	if f.flaws.has(VulnerableLibrary) {
		mbedtls = libraryBefore
	}
	if f.flaws.has(AccountInFirmware) {
		shadow = "root::20000:0:99999:7:::\n"
	}
	table, err := f.calibration()
	if err != nil {
		return nil, err
	}
	files := []file{
		{"etc/os-release", fmt.Sprintf("ID=thermostat\nNAME=\"%s %s\"\nVERSION_ID=%s\n", Manufacturer, Model, version)},
		{"etc/passwd", "root:x:0:0:root:/:/bin/false\n"},
		{"etc/shadow", shadow},
		{"etc/schedule", schedule()},
		{"usr/lib/opkg/status", fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: cortexm33\nStatus: install user installed\n\n", library, mbedtls)},
		{"usr/share/calibration", table},
	}
	if f.flaws.has(SecretInFirmware) {
		key, err := f.secret()
		if err != nil {
			return nil, err
		}
		files = append(files, file{"etc/ssl/device.key", key})
	}
	return files, nil
}

// schedule is in plain text, as thermostats have one.
func schedule() string {
	var b strings.Builder
	for hour := range 24 {
		fmt.Fprintf(&b, "at %02d:00 heat to %.1f\n", hour, 17+float64(4*(hour/6%2))+float64(hour%6)/10)
	}
	return b.String()
}

// calibration is a table of temperatures.
func (f *factory) calibration() (string, error) {
	values := make([]byte, 2000)
	if _, err := io.ReadFull(f.Rand, values); err != nil {
		return "", err
	}
	var b strings.Builder
	for i, v := range values {
		fmt.Fprintf(&b, "%.1f", float64(v)/10)
		b.WriteString(map[bool]string{true: "\n", false: " "}[i%10 == 9])
	}
	return b.String(), nil
}

// secret is a private key that every unit would have.
func (f *factory) secret() (string, error) {
	key, err := newKey()
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// makeAdvisories writes the snapshot of known vulnerabilities that the dossier names.
func (f *factory) makeAdvisories() error {
	text := fmt.Sprintf(`{"id":%q,"modified":%q,"summary":"made up for the reference device","affected":[{"package":{"ecosystem":"generic","name":%q},`+
		`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`+"\n",
		advisoryID, f.Now.UTC().Format("2006-01-02T15:04:05Z"), library, librarySafe)
	_, err := f.write([]byte(text), "advisories", advisoryID+".json")
	return err
}
