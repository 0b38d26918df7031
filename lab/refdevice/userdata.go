package refdevice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Keys of the user's data in the store.
const (
	keyProfile  = "profile"
	keyLocation = "location"
	keyNote     = "note"
	keyAccount  = "account/" // then the digest of the name
)

// Limits of what a user may store.
const (
	maxField    = 256
	maxText     = 2 << 10
	maxAccounts = 8
	minPassword = 8
)

// A profile is what the owner told the device about the home.
type profile struct {
	Name     string `json:"name"`
	WiFiSSID string `json:"wifi_ssid"`
	WiFiKey  string `json:"wifi_key"`
	Email    string `json:"email"`
}

// A profileChange holds the fields to change; the others stay.
type profileChange struct {
	Name     *string `json:"name"`
	WiFiSSID *string `json:"wifi_ssid"`
	WiFiKey  *string `json:"wifi_key"`
	Email    *string `json:"email"`
}

// errTooLong is the user's fault, not the flash's.
var errTooLong = errors.New("value too long")

func (c profileChange) apply(p *profile) error {
	for _, f := range []struct {
		from *string
		to   *string
	}{{c.Name, &p.Name}, {c.WiFiSSID, &p.WiFiSSID}, {c.WiFiKey, &p.WiFiKey}, {c.Email, &p.Email}} {
		if f.from == nil {
			continue
		}
		if len(*f.from) > maxField {
			return errTooLong
		}
		*f.to = *f.from
	}
	return nil
}

// profile reads the stored profile; a device without an owner has an empty one.
func (s *store) profile() profile {
	var p profile
	if b, ok := s.get(keyProfile); ok {
		if err := json.Unmarshal(b, &p); err != nil {
			return profile{}
		}
	}
	return p
}

func (s *store) setProfile(p profile) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("store profile: %w", err)
	}
	return s.set(keyProfile, b)
}

// text reads one free text.
func (s *store) text(key string) string {
	b, _ := s.get(key)
	return string(b)
}

func (s *store) setText(key string, text []byte) error {
	if len(text) > maxText {
		return errTooLong
	}
	return s.set(key, text)
}

// accountKey hides the name: nobody needs to list accounts, so the flash need not know them.
func accountKey(user string) string {
	sum := sha256.Sum256([]byte(user))
	return keyAccount + hex.EncodeToString(sum[:16])
}

var (
	errWeak    = errors.New("the password is shorter than 8 characters")
	errTooMany = errors.New("there are too many accounts")
)

// addAccount stores one more login of a user's own.
func (s *store) addAccount(user, password string) error {
	if user == "" || len(user) > maxField || len(password) > maxField {
		return errTooLong
	}
	if len(password) < minPassword {
		return errWeak
	}
	key := accountKey(user)
	if _, there := s.get(key); !there && len(s.keys(keyAccount)) >= maxAccounts {
		return errTooMany
	}
	h, err := hashPassword(password)
	if err != nil {
		return err
	}
	b, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("store account: %w", err)
	}
	return s.set(key, b)
}

// account returns the stored password of a user.
func (s *store) account(user string) (passwordHash, bool) {
	b, ok := s.get(accountKey(user))
	if !ok {
		return passwordHash{}, false
	}
	var h passwordHash
	if err := json.Unmarshal(b, &h); err != nil {
		return passwordHash{}, false
	}
	return h, true
}
