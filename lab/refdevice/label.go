package refdevice

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
)

// The fixed names on every label; only the secrets differ.
const (
	adminUser = "admin"
	mqttUser  = "owner"
)

// labelAlphabet leaves out what people mistake on a printed label: 0 O o, 1 l I.
const labelAlphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

const (
	labelLength = 12
	pskLength   = 16
)

// A Label is what is printed on a unit: its secrets.
type Label struct {
	AdminUser     string
	AdminPassword string
	MQTTUser      string
	MQTTPassword  string
	PSK           string // 32 hex digits, 16 bytes; the identity is the serial
}

// newLabel draws the secrets of one unit. first is the label of the first unit of the batch, nil for itself.
func newLabel(f flawSet, mac net.HardwareAddr, first *Label, random io.Reader) (Label, error) {
	l := Label{AdminUser: adminUser, MQTTUser: mqttUser}
	psk := make([]byte, pskLength)
	if _, err := io.ReadFull(random, psk); err != nil {
		return l, fmt.Errorf("draw label: %w", err)
	}
	l.PSK = hex.EncodeToString(psk)
	for _, password := range []*string{&l.AdminPassword, &l.MQTTPassword} {
		var err error
		if *password, err = drawText(random, labelAlphabet, labelLength); err != nil {
			return l, fmt.Errorf("draw label: %w", err)
		}
	}
	if f.has(UniversalPassword) && first != nil {
		l.AdminPassword, l.MQTTPassword = first.AdminPassword, first.MQTTPassword
	}
	if f.has(UniversalPSK) && first != nil {
		l.PSK = first.PSK
	}
	if f.has(MACPassword) {
		digits := strings.ReplaceAll(mac.String(), ":", "")
		l.AdminPassword = digits[len(digits)-6:]
	}
	return l, nil
}

// drawText draws n characters without preferring any.
func drawText(random io.Reader, alphabet string, n int) (string, error) {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	b := make([]byte, 1)
	for len(out) < n {
		if _, err := io.ReadFull(random, b); err != nil {
			return "", err
		}
		if int(b[0]) < limit {
			out = append(out, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(out), nil
}
