package analyze

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"assay/lab/capture"
)

type credentialKey struct {
	protocol, client, server, user, secret string
}

// maxSecret is the longest secret that is told apart from others; what follows is left out.
const maxSecret = 256

// secret notes a secret that went in clear.
func (a *analyzer) secret(protocol string, f *flow, user, secret, where string) {
	secret = secret[:min(len(secret), maxSecret)]
	key := credentialKey{protocol, f.ends[0].Addr().String(), f.ends[1].String(), clean(user), secret}
	c := a.secrets[key]
	if c == nil {
		if !a.room(len(a.secrets), "credentials") {
			return
		}
		shown := Mask(secret)
		if a.options.ShowSecrets {
			shown = capture.Printable(secret, maxSecret)
		}
		c = &Credential{Protocol: protocol, Client: key.client, Server: key.server, User: key.user, Secret: shown, Where: where, Frame: a.frame.Number}
		a.secrets[key] = c
	}
	c.Seen++
}

// Mask tells a secret's first character and its length, and nothing else.
func Mask(secret string) string {
	n := utf8.RuneCountInString(secret)
	first, _ := utf8.DecodeRuneInString(secret)
	switch n {
	case 0:
		return "(empty)"
	case 1:
		return "* (1 character)" // its first is all of it
	}
	return capture.Printable(string(first), 4) + strings.Repeat("*", min(n-1, 7)) + fmt.Sprintf(" (%d characters)", n)
}

// kept bounds the texts that sessions keep in all; true is full.
func (a *analyzer) kept(n int) bool {
	if a.texts+n+128 > maxTexts {
		return true
	}
	a.texts += n + 128
	return false
}

// maxTexts bounds what topics and filters may take in all sessions together.
const maxTexts = 8 << 20
