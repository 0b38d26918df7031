package refdevice

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// factoryRecord is what the maker writes into each unit, once. Passwords of the label are
// kept as hashes; the pre-shared key must be kept as it is.
type factoryRecord struct {
	Serial        string       `json:"serial"`
	MAC           string       `json:"mac"`
	Made          time.Time    `json:"made"`
	AdminUser     string       `json:"admin_user"`
	AdminPassword passwordHash `json:"admin_password"`
	MQTTUser      string       `json:"mqtt_user"`
	MQTTPassword  passwordHash `json:"mqtt_password"`
	PSK           []byte       `json:"psk"`
	CA            []byte       `json:"ca"`          // DER: root of the cloud and of all units
	Certificate   []byte       `json:"certificate"` // DER: this unit's
	Key           []byte       `json:"key"`         // PKCS #8
}

// identity is the factory record made usable.
type identity struct {
	factoryRecord
	roots       *x509.CertPool
	certificate tls.Certificate
}

func readIdentity(f *flash) (identity, error) {
	b, err := f.read(factoryRegion)
	if err != nil {
		return identity{}, err
	}
	var id identity
	if _, err := decodeSector(b, &id.factoryRecord); err != nil {
		return identity{}, fmt.Errorf("read factory record: %w", err)
	}
	ca, err := x509.ParseCertificate(id.CA)
	if err != nil {
		return identity{}, fmt.Errorf("read factory record: root: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(id.Key)
	if err != nil {
		return identity{}, fmt.Errorf("read factory record: key: %w", err)
	}
	id.roots = x509.NewCertPool()
	id.roots.AddCert(ca)
	id.certificate = tls.Certificate{Certificate: [][]byte{id.Certificate}, PrivateKey: key}
	return id, nil
}

// serverTLS is for the device's own HTTPS and MQTT.
func (id identity) serverTLS(c *clock) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{id.certificate},
		MinVersion:   tls.VersionTLS12,
		Time:         c.now,
	}
}
