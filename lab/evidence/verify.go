package evidence

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
)

// Verify recomputes everything a run directory or a bundle says about itself and
// names the first thing that does not hold as a *Broken. A bundle must be signed under
// one of the given keys; keys inside it are never believed. A directory has no
// signature: its chain and its artefacts are verified, and Sealed stays false, which
// means that it is incomplete. What could be read comes back together with a *Broken,
// for saying what it would have been, and for nothing else.
func Verify(ctx context.Context, path string, keys []signature.Verifier) (*Evidence, error) {
	return VerifyBy(ctx, path, Trust{Keys: keys})
}

// Trust is what a verifier brings along. Nothing of it is ever taken from the evidence.
type Trust struct {
	Keys        []signature.Verifier            // of whoever may have sealed
	Roles       map[string][]signature.Verifier // of whoever may have amended, by role
	Authorities *x509.CertPool                  // roots for the time-stamp; nil: it is told, and not checked
	Keyless     *Keyless                        // whose certificate a seal may be under; nil: nobody's
	Through     string                          // hex SHA-256 of an amendment, or of the seal, that must be there; empty: none is known
	Now         time.Time                       // zero: nothing is in the future

	anySealer bool // whoever amends need not know who sealed
}

// VerifyBy is Verify with all that a verifier may bring along.
func VerifyBy(ctx context.Context, path string, t Trust) (*Evidence, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("verify evidence: %w", err)
	}
	if info.IsDir() {
		e, err := verifyDir(ctx, path)
		if err == nil {
			err = e.checkThrough(t.Through)
		}
		return e, err
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("verify evidence: %w", err)
	}
	defer f.Close()
	return verifyBundle(ctx, f, info.Size(), path, t)
}

func verifyDir(ctx context.Context, dir string) (*Evidence, error) {
	e, _, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, copyBuffer)
	for _, a := range e.files() {
		r, err := e.source.open(a)
		if err != nil {
			return e, err
		}
		_, err = io.CopyBuffer(onlyWriter{io.Discard}, &stoppable{ctx, newChecked(r, a)}, buffer)
		if err := cmp.Or(err, r.Close()); err != nil {
			return e, err
		}
	}
	return e, nil
}

// verifyBundle goes through the layers from the outside to the inside.
func verifyBundle(ctx context.Context, r io.ReaderAt, size int64, path string, t Trust) (*Evidence, error) {
	if len(t.Keys) == 0 && t.Keyless == nil && !t.anySealer {
		return nil, fmt.Errorf("verify %s: %w", path, ErrNoKey)
	}
	e, box, c, err := openBundle(r, size, path)
	if err != nil {
		return nil, err
	}
	if err := box.checkFiles(e); err != nil {
		return e, err
	}
	leaves, err := box.leaves(ctx, e, c)
	if err != nil {
		return e, err
	}
	treeJSON, err := box.verifyTree(e, newTree(len(c.lines), leaves))
	if err != nil {
		return e, err
	}
	if err := box.verifySeal(e, treeJSON, t); err != nil {
		return e, err
	}
	// Whatever is left was found to be right by better means; a wrong CRC-32 is the archive's own.
	for _, name := range []string{mimeName, journalName, treeName, sealName} {
		b, entry, err := box.small(name, maxJournal)
		if err != nil {
			return e, err
		}
		if err := entry.checkSum(b); err != nil {
			return e, err
		}
	}
	if err := e.checkComplete(); err != nil {
		return e, err
	}
	return e, box.verifyAmendments(e, t)
}

// leaves recomputes the leaves of the tree. Of what a redacted copy leaves out it takes the leaf that is
// there: the root, which is signed, proves it.
func (c *container) leaves(ctx context.Context, e *Evidence, lines *chain) ([]digest, error) {
	var given tree
	if e.Redacted {
		b, _, err := c.small(treeName, maxTree)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &given); err != nil || len(given.Leaves) != len(lines.lines)+len(e.files()) {
			return nil, broken(layerTree, treeName, "does not have a leaf for each record and file")
		}
	}
	leaves := make([]digest, 0, len(lines.lines)+len(e.Artefacts))
	for i, line := range lines.lines {
		leaf := leafHash(line)
		if r := e.Records[i]; r.Leaf != "" {
			_, _ = hex.Decode(leaf[:], []byte(r.Leaf)) // it was read as a digest
		}
		leaves = append(leaves, leaf)
	}
	_, counts, err := e.frameCounts()
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, copyBuffer)
	for _, a := range e.files() {
		if e.withheldFile(c, a) {
			var leaf digest
			if s := given.Leaves[len(leaves)]; isDigest(s) {
				_, _ = hex.Decode(leaf[:], []byte(s))
			}
			leaves = append(leaves, leaf)
			continue
		}
		leaf, err := c.verifyFile(ctx, a, e.frameCheck(a, counts), buffer)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, leaf)
	}
	return leaves, nil
}

// checkFiles compares the files in the archive with those that the journal names, in its order.
func (c *container) checkFiles(e *Evidence) error {
	files := slices.DeleteFunc(e.files(), func(a Artefact) bool { return e.withheldFile(c, a) })
	var have []entry
	for _, entry := range c.entries {
		if entry.isFile() {
			have = append(have, entry)
		}
	}
	for i, a := range files {
		if i >= len(have) || have[i].name != a.entry() {
			return broken(layerContainer, a.entry(), "is not where the journal wants it (%s)", a.Name)
		}
		if have[i].size != uint64(a.Size) {
			return broken(layerContainer, a.entry(), "%d bytes, the journal says %d (%s)", have[i].size, a.Size, a.Name)
		}
	}
	if len(have) > len(files) {
		return broken(layerContainer, have[len(files)].name, "is in no record of the journal")
	}
	return nil
}

// verifyFile streams one file and returns its leaf.
func (c *container) verifyFile(ctx context.Context, a Artefact, frames *frameCheck, buffer []byte) (digest, error) {
	e, _ := c.find(a.entry())
	m := newMeter()
	r := io.NewSectionReader(c.r, int64(e.data()), int64(e.size))
	if _, err := io.CopyBuffer(frames.beside(m), &stoppable{ctx, r}, buffer); err != nil {
		return digest{}, fmt.Errorf("read %s: %w", e.name, err)
	}
	if m.size != a.Size || m.sha256() != a.SHA256 {
		return digest{}, a.differs()
	}
	if m.crc != e.crc {
		return digest{}, broken(layerContainer, e.name, "its CRC-32 is another one")
	}
	return m.leafDigest(), frames.result(a)
}

// verifyTree compares the tree in the archive with the recomputed one, leaf by leaf
// first, so that the message can name the leaf.
func (c *container) verifyTree(e *Evidence, want *tree) ([]byte, error) {
	e.Root = want.Root
	encoded, err := want.encode()
	if err != nil {
		return nil, err
	}
	b, _, err := c.small(treeName, maxTree)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(b, encoded) {
		return b, nil
	}
	var have tree
	if err := json.Unmarshal(b, &have); err != nil {
		return nil, broken(layerTree, treeName, "%v", err)
	}
	if have.Size != want.Size || len(have.Leaves) != want.Size || have.Records != want.Records {
		return nil, broken(layerTree, treeName, "%d leaves for %d records, want %d for %d", len(have.Leaves), have.Records, want.Size, want.Records)
	}
	files := e.files()
	for i, leaf := range have.Leaves {
		if leaf == want.Leaves[i] {
			continue
		}
		where := lineName(i + 1)
		if i >= want.Records {
			where = files[i-want.Records].entry()
		}
		return nil, broken(layerTree, where, "its leaf is not the one in %s", treeName)
	}
	if have.Root != want.Root {
		return nil, broken(layerTree, treeName, "root is %.64s, recomputed %s", have.Root, want.Root)
	}
	return nil, broken(layerTree, treeName, "not in the form a tree is written in")
}

// verifySeal checks the signature before a word of what was signed is believed.
func (c *container) verifySeal(e *Evidence, treeJSON []byte, t Trust) error {
	b, _, err := c.small(sealName, maxSeal)
	if err != nil {
		return err
	}
	env, err := openSeal(b)
	if err != nil {
		return broken(layerSeal, sealName, "%v", err)
	}
	if err := c.verifySigner(e, env, t); err != nil {
		return err
	}
	s, err := env.statement()
	if err != nil {
		return broken(layerSeal, sealName, "%v", err)
	}
	want := state(e, e.Root, treeJSON)
	if !reflect.DeepEqual(s.Subject, want.Subject) {
		return broken(layerSeal, sealName, "its subjects are not this journal and this tree")
	}
	if !reflect.DeepEqual(s.Predicate, want.Predicate) {
		return broken(layerSeal, sealName, "its predicate does not follow from this journal")
	}
	e.Statement = s
	if begun := s.Predicate.Begun; !t.Now.IsZero() && begun.After(t.Now.Add(ClockTolerance)) {
		return broken(layerChain, lineName(1), "the run begins in the future, at %s, and it is %s now: one of the two clocks is wrong",
			begun.Format(time.RFC3339), t.Now.UTC().Format(time.RFC3339))
	}
	return c.verifyStamp(e, env.DSSE.Signatures[0].Sig, t)
}

// verifySignature checks the seal's signature under the given key that its hint names.
func (env *envelope) verifySignature(t Trust, hint string) error {
	if t.anySealer {
		return nil
	}
	key, err := choose(t.Keys, hint)
	if err == nil {
		return env.verifyUnder(key)
	}
	if _, who, _ := env.signer(); who != nil {
		return broken(layerSeal, sealName, "signed under a certificate of %s, vouched for by %s: give the Fulcio's root, the signer and the issuer to check it by", printable(who.Identity), printable(who.Issuer))
	}
	return err
}

// choose returns the given key that the hint names. The hint is not signed: it only chooses.
func choose(keys []signature.Verifier, hint string) (signature.Verifier, error) {
	for _, k := range keys {
		h, err := Hint(k)
		if err != nil {
			return nil, fmt.Errorf("verify seal: %w", err)
		}
		if h == hint {
			return k, nil
		}
	}
	return nil, broken(layerSeal, sealName, "signed under key %s, which is none of the given ones", printable(hint))
}

// locate says more about a chain that broke between two lines: the tree tells which
// of the two is the one that changed.
func (c *container) locate(ch *chain, err error) error {
	var b *Broken
	if !errors.As(err, &b) || b.link < 2 || len(ch.lines) < b.link-1 {
		return err
	}
	raw, _, rerr := c.small(treeName, maxTree)
	var t tree
	if rerr != nil || json.Unmarshal(raw, &t) != nil || len(t.Leaves) < b.link-1 {
		return err
	}
	if before := b.link - 2; leafHash(ch.lines[before]).String() != t.Leaves[before] {
		return broken(layerChain, lineName(b.link-1), "it is not the line that the next one follows")
	}
	return err
}

// onlyWriter hides ReadFrom, which would read in smaller pieces.
type onlyWriter struct{ io.Writer }
