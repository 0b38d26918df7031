package credentials

import (
	"crypto/md5" //nolint:gosec // makers derive passwords with it; that is what is looked for
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"

	"assay/probes"
)

// common.txt: its head tells the format.
//
//go:embed common.txt
var common string

// hexKey marks a pre-shared key that is written in hexadecimal digits.
const hexKey = "hex:"

// interfaceCoAP is the interface whose username is a DTLS-PSK identity and whose password is the key.
const interfaceCoAP = "coap"

// A Candidate is a login worth a try, and where it came from.
type Candidate struct {
	probes.Login
	From string // "mac", "serial"; else empty
}

// Common returns the public default pairs for an interface, with the declared username in the place of "*".
func Common(iface, username string) []Candidate {
	wanted := []string{"any", "password"}
	switch iface {
	case interfaceCoAP:
		wanted = []string{"any", "psk"}
	case "ssh", "telnet":
		wanted = append(wanted, "shell")
	}
	var list []Candidate
	for line := range strings.Lines(common) {
		fields := strings.Fields(line)
		if len(fields) != 3 || strings.HasPrefix(fields[0], "#") || !slices.Contains(wanted, fields[0]) {
			continue
		}
		l := probes.Login{Username: fields[1], Password: fields[2]}
		if l.Username == "*" {
			l.Username = username
		}
		switch l.Password {
		case "-":
			l.Password = ""
		case "=":
			l.Password = l.Username
		}
		list = add(list, l, "")
	}
	return list
}

// Others returns the logins of the other units of the model, also under this unit's own
// name: where the name is the serial, only the password can be the same for all.
func Others(unit probes.Unit, iface, username string) []Candidate {
	var list []Candidate
	for _, l := range unit.Others[iface] {
		list = add(list, l, "")
		list = add(list, probes.Login{Username: username, Password: l.Password}, "")
	}
	return list
}

// Derived returns passwords that anybody could work out who sees the MAC on the air or the serial on the box.
func Derived(unit probes.Unit, iface, username string) []Candidate {
	var list []Candidate
	least := 4
	if iface == interfaceCoAP {
		least = 8 // nobody makes a key of four digits, and each try may cost a deadline
	}
	put := func(from string, values ...string) {
		for _, v := range values {
			if len(v) >= least {
				list = add(list, probes.Login{Username: username, Password: v}, from)
			}
		}
	}
	mac := macDigits(unit.MAC)
	for _, n := range []int{4, 6, 8, 12} {
		put("mac", tail(mac, n), strings.ToUpper(tail(mac, n)))
	}
	put("mac", reversed(mac), unit.MAC)
	serial, digits := unit.Serial, onlyDigits(unit.Serial)
	put("serial", serial, strings.ToLower(serial), strings.ToUpper(serial), reversed(serial), digits)
	for _, n := range []int{4, 6, 8} {
		put("serial", tail(serial, n), tail(digits, n))
	}
	if iface == interfaceCoAP && mac != "" {
		// A 128-bit key from 48 bits: filled up with zeros, or with itself.
		zeros := strings.Repeat("0", 32-len(mac))
		put("mac", hexKey+mac, hexKey+mac+zeros, hexKey+zeros+mac, hexKey+(mac + mac + mac)[:32])
	}
	return list
}

// MadeFrom tells from which public value of the unit a password was made by a plain digest,
// whole or cut short: "mac", "serial" or "". It needs the right password and asks no device.
func MadeFrom(unit probes.Unit, password string) string {
	password = strings.TrimPrefix(password, hexKey)
	if len(password) < 6 {
		return "" // too short to tell a cut digest from chance
	}
	mac := macDigits(unit.MAC)
	raw, _ := hex.DecodeString(mac)
	sources := []struct {
		from   string
		values []string
	}{
		{"mac", []string{mac, strings.ToUpper(mac), unit.MAC, strings.ToLower(unit.MAC), strings.ToUpper(unit.MAC), string(raw)}},
		{"serial", []string{unit.Serial, strings.ToLower(unit.Serial), strings.ToUpper(unit.Serial)}},
	}
	for _, s := range sources {
		for _, v := range s.values {
			if v != "" && cutFrom(v, password) {
				return s.from
			}
		}
	}
	return ""
}

// cutFrom tells whether password begins a digest of value, in hex or base64.
func cutFrom(value, password string) bool {
	m, s, l := md5.Sum([]byte(value)), sha1.Sum([]byte(value)), sha256.Sum256([]byte(value)) //nolint:gosec // see the imports
	for _, sum := range [][]byte{m[:], s[:], l[:]} {
		if strings.HasPrefix(hex.EncodeToString(sum), strings.ToLower(password)) ||
			strings.HasPrefix(base64.StdEncoding.EncodeToString(sum), password) {
			return true
		}
	}
	return false
}

// Wrong makes a random login of the same shape as the right one: a wrong key of the wrong length would be turned away for
// its length, and letters for a PIN without being counted as a try.
func (d *Door) Wrong() probes.Login {
	body, prefix := d.own.Password, ""
	if rest, ok := strings.CutPrefix(body, hexKey); ok {
		body, prefix = rest, hexKey
	}
	alphabet := "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	switch {
	case body == "":
	case onlyDigits(body) == body && prefix == "":
		alphabet = "0123456789"
	case strings.Trim(body, "0123456789abcdefABCDEF") == "":
		alphabet = "0123456789abcdef"
	}
	length := len(body)
	if length < shortest {
		length = 8 // which is hit by chance less often than it is turned away for its length
	}
	for {
		wrong := prefix + random(alphabet, length)
		if !strings.EqualFold(wrong, d.own.Password) {
			return probes.Login{Username: d.own.Username, Password: wrong}
		}
	}
}

// shortest is the length of a PIN. Of ten thousand, twelve wrong ones may well be somebody's: see Learn.
const shortest = 4

// Random returns n random lower-case letters and digits, the first a letter.
func Random(n int) string {
	return random("abcdefghijkmnopqrstuvwxyz", 1) + random("abcdefghijkmnopqrstuvwxyz23456789", n-1)
}

func random(alphabet string, n int) string {
	var s strings.Builder
	for range n {
		i, _ := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet)))) // crypto/rand.Reader never fails
		s.WriteByte(alphabet[i.Int64()])
	}
	return s.String()
}

func add(list []Candidate, l probes.Login, from string) []Candidate {
	for _, c := range list {
		if c.Username == l.Username && c.Password == l.Password {
			return list
		}
	}
	return append(list, Candidate{Login: l, From: from})
}

// macDigits returns the 12 digits of a MAC in lower case, or nothing for anything else.
func macDigits(mac string) string {
	digits := strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(mac))
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != 6 {
		return ""
	}
	return digits
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func tail(s string, n int) string {
	if len(s) < n {
		return ""
	}
	return s[len(s)-n:]
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}
