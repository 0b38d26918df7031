package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"assay/firmware/strictjson"
)

// AmendmentType is the predicate type of an amendment's statement.
const AmendmentType = "https://assay.example/amendment/v1"

// The kinds of amendments.
const (
	AmendReview     = "review"     // a reviewer answers units that were open
	AmendSignOff    = "sign-off"   // a reviewer or an approver stands by the run as it is amended so far
	AmendCorrection = "correction" // something in the record is told to be otherwise
	AmendWithdrawal = "withdrawal" // of an amendment, or of the whole run
)

// The roles of whoever amends.
const (
	RoleOperator = "operator"
	RoleReviewer = "reviewer"
	RoleApprover = "approver"
)

// AmendmentKinds and AmendmentRoles are all of them.
var (
	AmendmentKinds = []string{AmendReview, AmendSignOff, AmendCorrection, AmendWithdrawal}
	AmendmentRoles = []string{RoleOperator, RoleReviewer, RoleApprover}
)

// maxAmendments is how many a bundle may have, maxAmendment how long one may be.
const (
	maxAmendments = 9999
	maxAmendment  = 8 << 20
)

// An Amendment is what somebody said about a sealed run later. It is signed, names the run by its
// root and what stood before it, and changes nothing of the run.
type Amendment struct {
	Number    int               `json:"number"`   // from 1, without a gap
	Previous  string            `json:"previous"` // hex SHA-256 of the amendment before; of the seal for the first
	Kind      string            `json:"kind"`
	Role      string            `json:"role"`
	By        string            `json:"by"`
	Time      time.Time         `json:"time"`         // by the clock of whoever amended
	Of        string            `json:"of,omitempty"` // record/17, amendment/1, an observation's id, a unit; empty: the run
	Statement string            `json:"statement"`
	Reviews   []json.RawMessage `json:"reviews,omitempty"` // of kind review

	Hint    string `json:"-"` // names the key that signed
	Digest  string `json:"-"` // hex SHA-256 of it: what the next one names as previous
	Checked bool   `json:"-"` // signed under a key that the verifier gave for this role
}

// amendmentStatement is what is signed.
type amendmentStatement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Amendment `json:"predicate"`
}

func (a Amendment) statement(root string) amendmentStatement {
	return amendmentStatement{StatementType, []Subject{{SubjectJournal, map[string]string{"sha256": root}}}, AmendmentType, a}
}

// amendmentName is the entry of an amendment.
func amendmentName(n int) string { return fmt.Sprintf("amendments/%04d.sigstore.json", n) }

// amendmentNumber is the number in an entry's name; 0: it is no amendment.
func amendmentNumber(name string) int {
	digits, ok := strings.CutPrefix(name, "amendments/")
	if !ok || len(digits) < 4 {
		return 0
	}
	n, err := strconv.Atoi(digits[:4])
	if err != nil || n < 1 || n > maxAmendments || name != amendmentName(n) {
		return 0
	}
	return n
}

// Amend signs an amendment and puts it behind those that are there. Number and Previous are filled
// in. The bundle is verified first, all but whose seal it is.
func Amend(ctx context.Context, path string, signer signature.Signer, a Amendment) (*Amendment, error) {
	e, err := VerifyBy(ctx, path, Trust{Now: a.Time, anySealer: true})
	if err == nil && e.Root == "" {
		err = fmt.Errorf("%w: only a sealed run is amended", ErrAmendment)
	}
	if err != nil {
		return nil, fmt.Errorf("amend %s: %w", path, err)
	}
	err = grow(path, func(c *container, _ *envelope) ([]addition, error) {
		previous, _, err := c.small(sealName, maxSeal)
		if n := len(e.Amendments); err == nil && n > 0 {
			previous, _, err = c.small(amendmentName(n), maxAmendment)
		}
		if err != nil {
			return nil, err
		}
		a.Number, a.Previous, a.Time = len(e.Amendments)+1, digest(sha256.Sum256(previous)).String(), a.Time.UTC().Round(0)
		if a.Hint, err = Hint(signer); err != nil {
			return nil, err
		}
		if err := e.checkAmendment(a, a.Time); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAmendment, err)
		}
		b, err := signPayload(a.statement(e.Root), signer)
		if err != nil {
			return nil, err
		}
		// Reading it back with the verifier's own eyes keeps out what would not verify.
		s, err := readAmendment(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAmendment, err)
		}
		a.Digest = s.statement.Predicate.Digest
		return []addition{{amendmentName(a.Number), b}}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("amend %s: %w", path, err)
	}
	return &a, nil
}

// ErrAmendment is the family of amendments that cannot be made.
var ErrAmendment = errors.New("no such amendment can be made")

// readAmendment reads one strictly; its signature is not checked here.
func readAmendment(b []byte) (*signedAmendment, error) {
	if len(b) > maxAmendment {
		return nil, fmt.Errorf("%d bytes, more than %d", len(b), maxAmendment)
	}
	env, err := openSeal(b)
	if err != nil {
		return nil, err
	}
	s := &signedAmendment{env: env}
	if err := json.Unmarshal(env.DSSE.Payload, &s.statement); err != nil {
		return nil, err
	}
	switch again, err := json.Marshal(s.statement); {
	case err != nil:
		return nil, err
	case !bytes.Equal(again, env.DSSE.Payload):
		return nil, errors.New("not in the form an amendment is written in")
	case s.statement.Type != StatementType || s.statement.PredicateType != AmendmentType:
		return nil, fmt.Errorf("predicate type %.80q, want %s", s.statement.PredicateType, AmendmentType)
	}
	// Four eyes are told apart by keys that stay a person's own, and no time-stamp stands over an amendment.
	if env.Verification.PublicKey == nil {
		return nil, errors.New("it is under a certificate of minutes: amendments are signed under a person's own key")
	}
	s.statement.Predicate.Hint, s.statement.Predicate.Digest = env.Verification.PublicKey.Hint, digest(sha256.Sum256(b)).String()
	return s, strictjson.Exact(env.DSSE.Payload, maxDepth)
}

type signedAmendment struct {
	env       *envelope
	statement amendmentStatement
}

// readAmendments reads what stands behind the seal: form and chain, no signature.
func (c *container) readAmendments(e *Evidence) ([]*signedAmendment, error) {
	seal, _, err := c.small(sealName, maxSeal)
	if err != nil {
		return nil, err
	}
	e.Through = digest(sha256.Sum256(seal)).String()
	var all []*signedAmendment
	for n := 1; ; n++ {
		name := amendmentName(n)
		b, entry, err := c.optional(name, maxAmendment)
		if err != nil || b == nil {
			return all, err
		}
		s, err := readAmendment(b)
		if err != nil {
			return nil, broken(layerAmend, name, "%v", err)
		}
		a := s.statement.Predicate
		switch {
		case a.Number != n:
			return nil, broken(layerAmend, name, "says that it is number %d", a.Number)
		case a.Previous != e.Through:
			return nil, broken(layerAmend, name, "does not follow what stands before it")
		}
		if err := entry.checkSum(b); err != nil {
			return nil, err
		}
		e.Through = a.Digest
		all, e.Amendments = append(all, s), append(e.Amendments, a)
	}
}

// verifyAmendments checks every amendment, and its signature where a key is given for it. One under a
// key that nobody gave is left unchecked: it counts for nothing.
func (c *container) verifyAmendments(e *Evidence, t Trust) error {
	all, err := c.readAmendments(e)
	if err != nil {
		return err
	}
	for i, s := range all {
		name, a := amendmentName(i+1), &e.Amendments[i]
		if !reflect.DeepEqual(s.statement, a.statement(e.Root)) {
			return broken(layerAmend, name, "it is about another run")
		}
		if err := (&Evidence{Records: e.Records, Amendments: e.Amendments[:i]}).checkAmendment(*a, t.Now); err != nil {
			return broken(layerAmend, name, "%v", err)
		}
		key, role, err := t.speaksFor(a.Hint, a.Role)
		switch {
		case err != nil:
			return err
		case key == nil:
			continue
		}
		message := pae(s.env.DSSE.PayloadType, s.env.DSSE.Payload)
		if err := key.VerifySignature(bytes.NewReader(s.env.DSSE.Signatures[0].Sig), bytes.NewReader(message)); err != nil {
			return broken(layerAmend, name, "signature: %v", err)
		}
		if role != a.Role {
			return broken(layerAmend, name, "signed as %s under a key that was given for role %s", a.Role, role)
		}
		a.Checked = true
	}
	return e.checkThrough(t.Through)
}

// checkThrough demands an amendment, or the seal, that somebody saw in this file before: nothing in a file can show
// that its last amendments were cut off.
func (e *Evidence) checkThrough(want string) error {
	held := want == "" || want == e.Through || slices.ContainsFunc(e.Amendments, func(a Amendment) bool { return a.Previous == want })
	switch n := len(e.Amendments); {
	case held:
		return nil
	case e.Through == "":
		return broken(layerAmend, sealName, "a run that was never sealed has no amendments, and none with SHA-256 %s", want)
	case n == 0:
		return broken(layerAmend, sealName, "nothing in this file has SHA-256 %s: it has no amendment, its seal has %s. Amendments were cut off, or it is another run's", want, e.Through)
	default:
		return broken(layerAmend, amendmentName(n), "nothing in this file has SHA-256 %s: it is amended through this one, which has %s. Later amendments were cut off or exchanged, or it is another run's", want, e.Through)
	}
}

// speaksFor finds the given key that a hint names, for the wanted role if it can be. The lab's own key is an operator's.
func (t Trust) speaksFor(hint, wanted string) (signature.Verifier, string, error) {
	var found signature.Verifier
	var as string
	for _, role := range AmendmentRoles {
		keys := t.Roles[role]
		if role == RoleOperator {
			keys = append(slices.Clone(keys), t.Keys...)
		}
		for _, k := range keys {
			h, err := Hint(k)
			if err != nil {
				return nil, "", fmt.Errorf("verify amendment: %w", err)
			}
			if h == hint && (found == nil || role == wanted) {
				found, as = k, role
			}
		}
	}
	return found, as, nil
}

// checkAmendment checks what an amendment says by itself, and against the run and the amendments before it.
func (e *Evidence) checkAmendment(a Amendment, now time.Time) error {
	last := e.Records[len(e.Records)-1].Time.Add(-ClockTolerance)
	if n := len(e.Amendments); n > 0 {
		last = e.Amendments[n-1].Time.Add(-ClockTolerance)
	}
	switch {
	case !slices.Contains(AmendmentKinds, a.Kind):
		return fmt.Errorf("kind %.40q, want %s", a.Kind, strings.Join(AmendmentKinds, ", "))
	case !slices.Contains(AmendmentRoles, a.Role):
		return fmt.Errorf("role %.40q, want %s", a.Role, strings.Join(AmendmentRoles, ", "))
	case a.Kind == AmendReview && a.Role != RoleReviewer:
		return fmt.Errorf("a review by an %s: reviews are a reviewer's", a.Role)
	case a.Kind == AmendSignOff && a.Role == RoleOperator:
		return errors.New("a sign-off by an operator: whoever ran it does not sign it off")
	case (a.Kind == AmendReview) != (len(a.Reviews) > 0):
		return fmt.Errorf("%d reviews in an amendment of kind %s", len(a.Reviews), a.Kind)
	case strings.TrimSpace(a.By) == "" || strings.TrimSpace(a.Statement) == "":
		return errors.New("it names nobody, or states nothing")
	case a.Time.Before(last):
		return fmt.Errorf("its time %s is before what it follows", a.Time.Format(time.RFC3339))
	case !now.IsZero() && a.Time.After(now.Add(ClockTolerance)):
		return fmt.Errorf("its time %s is in the future", a.Time.Format(time.RFC3339))
	}
	return e.checkOf(a)
}

// checkOf demands that what is amended is there, and that only its author or an approver withdraws an amendment.
func (e *Evidence) checkOf(a Amendment) error {
	what, number, _ := strings.Cut(a.Of, "/")
	n, err := strconv.Atoi(number)
	switch {
	case a.Kind == AmendReview && a.Of != "":
		return errors.New("a review names its units itself")
	case a.Kind == AmendSignOff && a.Of != "":
		return errors.New("a sign-off is of the whole run")
	case a.Kind == AmendWithdrawal && a.Of == "" && a.Role == RoleReviewer:
		return errors.New("a reviewer withdraws amendments, an operator or an approver the run")
	case a.Of == "":
		return nil
	case a.Kind == AmendWithdrawal && what != "amendment":
		return errors.New("a withdrawal is of the run, or of amendment/N")
	case (what == "record" || what == "amendment") && (err != nil || number != strconv.Itoa(n)):
		return fmt.Errorf("it is about %.80q: %s/ wants a number", a.Of, what)
	case what == "record" && err == nil:
		if n < 1 || n > len(e.Records) {
			return fmt.Errorf("it is about record %d of %d", n, len(e.Records))
		}
		return nil
	case what == "amendment" && err == nil:
		if n < 1 || n > len(e.Amendments) {
			return fmt.Errorf("it is about amendment %d of %d", n, len(e.Amendments))
		}
		if a.Kind == AmendWithdrawal && a.Role != RoleApprover && e.Amendments[n-1].Hint != a.Hint {
			return fmt.Errorf("it withdraws amendment %d, which somebody else made: that is an approver's", n)
		}
		return nil
	case strings.Contains(a.Of, "/"): // a unit or a requirement, which only the standards know
		return nil
	}
	seen, err := e.Observations()
	if err != nil {
		return err
	}
	for _, o := range seen {
		if o.ID == a.Of {
			return nil
		}
	}
	return fmt.Errorf("it is about %.80q: want record/N, amendment/N, an observation's id or a unit", a.Of)
}

// Standing are the amendments that nobody withdrew; the checked ones only, where these are wanted.
func (e *Evidence) Standing(checked bool) []Amendment {
	gone := map[int]bool{}
	for i := len(e.Amendments) - 1; i >= 0; i-- {
		a := e.Amendments[i]
		if gone[a.Number] || checked && !a.Checked {
			gone[a.Number] = true
			continue
		}
		if n, ok := strings.CutPrefix(a.Of, "amendment/"); ok && a.Kind == AmendWithdrawal {
			if n, err := strconv.Atoi(n); err == nil {
				gone[n] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(e.Amendments), func(a Amendment) bool { return gone[a.Number] })
}
