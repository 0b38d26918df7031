package power

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// answerChallenge answers a challenge of HTTP digest authentication (RFC 7616) with SHA-256 and
// qop=auth, which is all that a Shelly of generation 2 speaks.
func answerChallenge(challenge, username, password, uri string) (string, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(challenge), " ")
	if !strings.EqualFold(scheme, "digest") || len(rest) > 2<<10 {
		return "", errors.New("it wants a login that is not HTTP digest")
	}
	said := parameters(rest)
	realm, nonce := said["realm"], said["nonce"]
	if nonce == "" || !strings.EqualFold(said["algorithm"], "SHA-256") {
		return "", errors.New("it wants a login that is not HTTP digest with SHA-256")
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	cnonce := hex.EncodeToString(random)
	const count = "00000001"
	response := sum(sum(username+":"+realm+":"+password), nonce, count, cnonce, "auth", sum("GET:"+uri))
	return fmt.Sprintf(`Digest username=%q, realm=%q, nonce=%q, uri=%q, algorithm=SHA-256, qop=auth, nc=%s, cnonce=%q, response=%q`,
		username, realm, nonce, uri, count, cnonce, response), nil
}

// sum is the hex SHA-256 of parts with colons between them.
func sum(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h[:])
}

// parameters reads name=value and name="value", separated by commas. A quote inside a value is not known here.
func parameters(s string) map[string]string {
	out := map[string]string{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, ", \t") {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, s, _ = strings.Cut(rest[1:], `"`)
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		out[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return out
}
