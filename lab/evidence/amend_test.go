package evidence

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence/stamptest"
)

// people are a lab, a reviewer and an approver, as a verifier knows them.
type people struct{ lab, reviewer, approver pair }

func newPeople(t testing.TB) people { return people{newPair(t), newPair(t), newPair(t)} }

func (p people) trust() Trust {
	return Trust{Keys: p.lab.keys(), Now: time.Now(), Roles: map[string][]signature.Verifier{
		RoleReviewer: p.reviewer.keys(), RoleApprover: p.approver.keys()}}
}

// amendment is one that can be made.
func amendment(kind, role, of string) Amendment {
	a := Amendment{Kind: kind, Role: role, By: "R. Eviewer", Time: time.Now(), Of: of, Statement: "It was read."}
	if kind == AmendReview {
		a.Reviews = []json.RawMessage{json.RawMessage(`{"units":["s/1-c.a"],"answer":"met"}`)}
	}
	return a
}

func TestAmendmentsAreAppended(t *testing.T) {
	p, a := newPeople(t), stamptest.New(t, time.Now)
	_, path := sealRun(t, p.lab)
	_, err := AddStamp(t.Context(), path, a.URL)
	require.NoError(t, err)
	before := splitBundle(t, read(t, path))
	for i, c := range []struct {
		kind, role, of string
		by             pair
	}{
		{AmendReview, RoleReviewer, "", p.reviewer},
		{AmendCorrection, RoleOperator, "record/3", p.lab},
		{AmendReview, RoleReviewer, "", p.reviewer},
		{AmendWithdrawal, RoleReviewer, "amendment/1", p.reviewer},
		{AmendSignOff, RoleApprover, "", p.approver},
		{AmendCorrection, RoleApprover, "o-001", p.approver},
		{AmendCorrection, RoleReviewer, "s/1-c.a", p.reviewer},
	} {
		made, err := Amend(t.Context(), path, c.by.signer, amendment(c.kind, c.role, c.of))
		require.NoError(t, err)
		require.Equal(t, i+1, made.Number)
		after := splitBundle(t, read(t, path))
		require.Equal(t, before, after[:len(before)], "what was there keeps its bytes and its place")
		before = after
	}
	e, err := VerifyBy(t.Context(), path, p.trust())
	require.NoError(t, err)
	require.Len(t, e.Amendments, 7)
	for _, a := range e.Amendments {
		require.True(t, a.Checked)
	}
	require.Len(t, e.Standing(true), 6)
	require.Equal(t, 2, e.Standing(true)[0].Number, "the first was withdrawn")

	e, err = Verify(t.Context(), path, p.lab.keys())
	require.NoError(t, err)
	require.Len(t, e.Standing(true), 1, "without their keys, others' amendments count for nothing")
	opened, err := Open(path)
	require.NoError(t, err)
	require.Len(t, opened.Standing(false), 6)

	_, err = AddStamp(t.Context(), path, a.URL)
	require.ErrorIs(t, err, ErrStamped)
}

func TestAmendRefuses(t *testing.T) {
	p := newPeople(t)
	for name, c := range map[string]struct {
		change func(*Amendment)
		want   string
	}{
		"kind":                 {func(a *Amendment) { a.Kind = "praise" }, `kind "praise"`},
		"role":                 {func(a *Amendment) { a.Role = "boss" }, `role "boss"`},
		"review of approver":   {func(a *Amendment) { *a = amendment(AmendReview, RoleApprover, "") }, "reviews are a reviewer's"},
		"review of something":  {func(a *Amendment) { *a = amendment(AmendReview, RoleReviewer, "record/1") }, "names its units itself"},
		"review without":       {func(a *Amendment) { a.Kind = AmendReview }, "0 reviews"},
		"sign-off of operator": {func(a *Amendment) { *a = amendment(AmendSignOff, RoleOperator, "") }, "does not sign it off"},
		"sign-off of a record": {func(a *Amendment) { *a = amendment(AmendSignOff, RoleApprover, "record/1") }, "of the whole run"},
		"nobody":               {func(a *Amendment) { a.By = " " }, "names nobody"},
		"nothing":              {func(a *Amendment) { a.Statement = "" }, "states nothing"},
		"no such record":       {func(a *Amendment) { a.Of = "record/11" }, "record 11 of 10"},
		"no such amendment":    {func(a *Amendment) { a.Of = "amendment/2" }, "amendment 2 of 1"},
		"no such thing":        {func(a *Amendment) { a.Of = "o-999" }, "want record/N"},
		"no number":            {func(a *Amendment) { *a = amendment(AmendWithdrawal, RoleReviewer, "amendment/one") }, "wants a number"},
		"no plain number":      {func(a *Amendment) { a.Of = "record/+1" }, "wants a number"},
		"no record at all":     {func(a *Amendment) { a.Of = "record/1/2" }, "wants a number"},
		"too early":            {func(a *Amendment) { a.Time = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }, "future"},
		"run by a reviewer":    {func(a *Amendment) { *a = amendment(AmendWithdrawal, RoleReviewer, "") }, "a reviewer withdraws amendments"},
		"another's":            {func(a *Amendment) { *a = amendment(AmendWithdrawal, RoleReviewer, "amendment/1") }, "somebody else made"},
		"of a record":          {func(a *Amendment) { *a = amendment(AmendWithdrawal, RoleApprover, "record/1") }, "of the run, or of amendment/N"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			_, path := sealRun(t, p.lab)
			_, err := Amend(t.Context(), path, p.lab.signer, amendment(AmendCorrection, RoleOperator, ""))
			require.NoError(t, err)
			before := read(t, path)
			a := amendment(AmendCorrection, RoleReviewer, "")
			c.change(&a)
			_, err = Amend(t.Context(), path, p.reviewer.signer, a)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, read(t, path))
		})
	}
	dir, path := sealRun(t, p.lab)
	_, err := Amend(t.Context(), dir, p.lab.signer, amendment(AmendCorrection, RoleOperator, ""))
	require.ErrorContains(t, err, "only a sealed run")
	b := read(t, path)
	b[len(b)/2] ^= 1
	_, err = Amend(t.Context(), write(t, b), p.lab.signer, amendment(AmendCorrection, RoleOperator, ""))
	requireBroken(t, err)
}

// TestForgedAmendments changes what stands behind a seal.
func TestForgedAmendments(t *testing.T) {
	p := newPeople(t)
	amend := func(path string, by pair, kinds ...string) []entryBytes {
		for _, k := range kinds {
			_, err := Amend(t.Context(), path, by.signer, amendment(k, RoleReviewer, ""))
			require.NoError(t, err)
		}
		return splitBundle(t, read(t, path))
	}
	_, path := sealRun(t, p.lab)
	good := amend(path, p.reviewer, AmendReview, AmendCorrection, AmendSignOff)
	first := len(good) - 3
	_, path = sealRun(t, p.lab)
	other := amend(path, p.reviewer, AmendReview)
	_, path = sealRun(t, p.lab)
	posing := amend(path, p.approver, AmendReview)
	for name, c := range map[string]struct {
		list []entryBytes
		want string
	}{
		"first removed":     {append(append([]entryBytes{}, good[:first]...), entryBytes{amendmentName(1), good[first+1].b}, entryBytes{amendmentName(2), good[first+2].b}), "says that it is number 2"},
		"middle removed":    {append(append([]entryBytes{}, good[:first+1]...), good[first+2]), "stands where amendment 2 belongs"},
		"exchanged":         {append(append([]entryBytes{}, good[:first]...), good[first+1], good[first], good[first+2]), "stands"},
		"of another run":    {append(append([]entryBytes{}, good[:first]...), other[len(other)-1]), "does not follow"},
		"in another's role": {posing, "under a key that was given for role approver"},
		"statement":         {replaced(good, first, `"It was read."`, `"It was burnt"`), "signature"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			_, err := VerifyBy(t.Context(), write(t, joinBundle(t, c.list)), p.trust())
			require.Contains(t, requireBroken(t, err).Why, c.want)
		})
	}
}

// TestCutAmendments cuts the last amendments off: what is left verifies by itself, and not for whoever knows what was there.
func TestCutAmendments(t *testing.T) {
	p := newPeople(t)
	_, path := sealRun(t, p.lab)
	known := []string{digestOf(splitBundle(t, read(t, path))[len(splitBundle(t, read(t, path)))-1].b)} // the seal's
	for _, kind := range []string{AmendReview, AmendCorrection, AmendSignOff} {
		a, err := Amend(t.Context(), path, p.reviewer.signer, amendment(kind, RoleReviewer, ""))
		require.NoError(t, err)
		require.Equal(t, known[len(known)-1], a.Previous)
		known = append(known, a.Digest)
	}
	all := splitBundle(t, read(t, path))
	seal := len(all) - 4
	public := filepath.Join(t.TempDir(), "public.assay")
	require.NoError(t, Redact(t.Context(), path, public, []string{"capture.pcapng"}, nil))
	for cut := range 4 {
		short := write(t, joinBundle(t, all[:len(all)-cut]))
		files := []string{short}
		if cut == 0 {
			files = append(files, public) // a redacted copy has the same amendments
		}
		for _, file := range files {
			opened, err := Open(file)
			require.NoError(t, err)
			for n, want := range append(slices.Clone(known), "") {
				trust := p.trust()
				trust.Through = want
				e, err := VerifyBy(t.Context(), file, trust)
				if n <= 3-cut || want == "" {
					require.NoError(t, err)
					require.Len(t, e.Amendments, 3-cut)
					require.Equal(t, known[3-cut], e.Through)
					require.Equal(t, digestOf(all[len(all)-cut-1].b), e.Through, "sha256sum of the last file says the same")
					require.Equal(t, e.Through, opened.Through)
					continue
				}
				b := requireBroken(t, err)
				require.Equal(t, layerAmend, b.What)
				require.Equal(t, all[len(all)-cut-1].name, b.Where)
				require.Contains(t, b.Why, "nothing in this file has SHA-256 "+want)
				require.Contains(t, b.Why, known[3-cut])
				require.Contains(t, b.Why, "cut off")
			}
		}
	}
	require.Equal(t, sealName, all[seal].name)

	// One exchanged for another of the same author is told like one that is gone.
	last := known[3]
	forked := write(t, joinBundle(t, all[:len(all)-1]))
	_, err := Amend(t.Context(), forked, p.reviewer.signer, amendment(AmendCorrection, RoleReviewer, ""))
	require.NoError(t, err)
	trust := p.trust()
	trust.Through = last
	_, err = VerifyBy(t.Context(), forked, trust)
	require.Contains(t, requireBroken(t, err).Why, "cut off or exchanged")

	dir, _ := sealRun(t, p.lab)
	_, err = VerifyBy(t.Context(), dir, trust)
	require.Contains(t, requireBroken(t, err).Why, "never sealed")
}

// replaced changes a word inside one amendment's payload.
func replaced(list []entryBytes, at int, old, with string) []entryBytes {
	env, err := openSeal(list[at].b)
	if err != nil {
		panic(err)
	}
	env.DSSE.Payload = []byte(strings.Replace(string(env.DSSE.Payload), old, with, 1))
	b, err := env.encode()
	if err != nil {
		panic(err)
	}
	return append(append([]entryBytes{}, list[:at]...), entryBytes{list[at].name, b})
}

// amendForever amends until it is killed, and acknowledges each on stdout.
func amendForever(dir string) int {
	s, err := LoadSigner(filepath.Join(dir, "key"), nil)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	for {
		a := Amendment{Kind: AmendCorrection, Role: RoleOperator, By: "O", Time: time.Now(), Statement: strings.Repeat("x", 1+rand.IntN(2000))}
		made, err := Amend(context.Background(), filepath.Join(dir, "run.assay"), s, a)
		if err != nil {
			fmt.Println("error:", err)
			return 1
		}
		fmt.Println("ack", made.Number, "x")
	}
}

// TestKilledAmenderLosesNothing kills somebody who amends at random moments: the file is the old one or the new one.
func TestKilledAmenderLosesNothing(t *testing.T) {
	p := newPair(t)
	for range 8 {
		dir := t.TempDir()
		_, path := sealRun(t, p)
		require.NoError(t, os.Rename(path, filepath.Join(dir, "run.assay")))
		put(t, filepath.Join(dir, "key"), p.private)
		cmd, lines := startWriter(t, dir, "amend")
		acked, killAfter := 0, 1+rand.IntN(12)
		for lines.Scan() {
			require.True(t, strings.HasPrefix(lines.Text(), "ack "), lines.Text())
			if acked++; acked == killAfter {
				time.AfterFunc(time.Duration(rand.IntN(8000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
		}
		require.Error(t, cmd.Wait(), "it was killed")
		e, err := Verify(t.Context(), filepath.Join(dir, "run.assay"), p.keys())
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(e.Amendments), acked)
		require.LessOrEqual(t, len(e.Amendments), acked+1)
	}
}
