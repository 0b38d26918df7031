package sigstore

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"strings"

	"assay/firmware/strictjson"
)

// A statement is what of an in-toto Statement binds it to artifacts; the predicate is not read.
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

const (
	statementTypePrefix = "https://in-toto.io/Statement/v" // 0.1 and 1
	maxSubjects         = 1024
)

// digestNames are the digests that count, strongest first. Others may stand beside them.
var digestNames = []struct {
	name string
	hash crypto.Hash
}{{"sha512", crypto.SHA512}, {"sha384", crypto.SHA384}, {"sha256", crypto.SHA256}}

func parseStatement(payload []byte) (statement, error) {
	if err := strictjson.Check(payload, maxDepth, "digest", "predicate"); err != nil {
		return statement{}, malformed("statement: %v", err)
	}
	var s statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return statement{}, malformed("statement: %v", err)
	}
	if !strings.HasPrefix(s.Type, statementTypePrefix) {
		return statement{}, malformed("statement of type %.80q", s.Type)
	}
	if len(s.Subject) == 0 || len(s.Subject) > maxSubjects {
		return statement{}, malformed("statement about %d subjects, want 1 to %d", len(s.Subject), maxSubjects)
	}
	return s, nil
}

// hashes are those that its subjects are named by.
func (s statement) hashes() []crypto.Hash {
	var all []crypto.Hash
	for _, n := range digestNames {
		for _, subject := range s.Subject {
			if _, ok := subject.Digest[n.name]; ok {
				all = append(all, n.hash)
				break
			}
		}
	}
	return all
}

// names returns the subject with these digests. All that it gives must fit: one right digest
// beside a wrong one is a statement about something else.
func (s statement) names(sums map[crypto.Hash][]byte) (subject, bool) {
	for _, subject := range s.Subject {
		fits, counted := true, 0
		for _, n := range digestNames {
			text, ok := subject.Digest[n.name]
			if !ok {
				continue
			}
			sum, err := hex.DecodeString(text)
			fits = fits && err == nil && bytes.Equal(sum, sums[n.hash])
			counted++
		}
		if fits && counted > 0 {
			return subject, true
		}
	}
	return subject{}, false
}
