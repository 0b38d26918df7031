package tuf

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// anchor adds what a device has already seen.
func anchor(t format.Trust, from string, b []byte) format.Trust {
	t.Own = maps.Clone(t.Own)
	t.Own[Name] = append(append([]format.Anchor{}, t.Own[Name]...), format.Anchor{From: from, Bytes: b})
	return t
}

func TestTrust(t *testing.T) {
	s := spec(t, "ed25519", false)
	files := built(t, s)
	later := s
	later.Version, later.Expires = 4, s.Expires.Add(time.Hour)
	newer := built(t, later)
	expired := s
	expired.Expires = now.Add(-time.Hour)
	old := built(t, expired)
	good := trust(files)
	more := s
	more.Delegations = []Delegation{{Name: "vendor", Signers: s.Signers[roleTargets], Paths: []string{"x"}}}
	wider := built(t, more)
	for name, tc := range map[string]struct {
		files map[string][]byte
		trust format.Trust
		want  error
		says  string
	}{
		"nobody":             {files, format.Trust{At: now}, format.ErrNoTrustedKey, "no root was given"},
		"no time":            {files, format.Trust{Own: good.Own}, format.ErrValidity, "no time was given"},
		"later":              {files, format.Trust{Own: good.Own, At: now.Add(25 * time.Hour)}, format.ErrStale, "root.json is expired"},
		"root expired":       {old, trust(old), format.ErrStale, "root.json is expired"},
		"another root":       {files, trust(built(t, spec(t, "ed25519", false))), format.ErrNoTrustedKey, "timestamp.json"},
		"unreadable":         {files, anchor(good, "junk.json", []byte("{}")), format.ErrNoTrustedKey, "anchor junk.json is no metadata"},
		"no root among them": {files, format.Trust{At: now, Own: map[string][]format.Anchor{Name: {{From: "t", Bytes: files["metadata/timestamp.json"]}}}}, format.ErrNoTrustedKey, "none of the anchors is a root"},
		"seen the same":      {files, anchor(anchor(good, "timestamp.json", files["metadata/timestamp.json"]), "snapshot.json", files["metadata/3.snapshot.json"]), nil, ""},
		"seen older":         {newer, anchor(anchor(anchor(trust(files), "timestamp.json", files["metadata/timestamp.json"]), "snapshot.json", files["metadata/3.snapshot.json"]), "targets.json", files["metadata/3.targets.json"]), nil, ""},
		"timestamp older":    {files, anchor(good, "timestamp.json", newer["metadata/timestamp.json"]), format.ErrStale, "new timestamp version 3 must be >= 4"},
		"targets older":      {files, anchor(good, "targets.json", newer["metadata/4.targets.json"]), format.ErrStale, "targets version 3, the device has seen 4"},
		"role gone":          {newer, anchor(anchor(trust(files), "timestamp.json", wider["metadata/timestamp.json"]), "snapshot.json", wider["metadata/3.snapshot.json"]), format.ErrStale, "missing info for vendor.json"},
		"seen of strangers":  {files, anchor(good, "timestamp.json", built(t, spec(t, "p256", false))["metadata/timestamp.json"]), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := OpenUnverified(folder(tc.files))
			require.NoError(t, err)
			report, err := img.Verify(tc.trust)
			require.Equal(t, err == nil, report.Verified)
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// TestRotation: a root signed by the old and the new key is followed, one that skips a version is not.
func TestRotation(t *testing.T) {
	s := spec(t, "ed25519", true)
	key := s.Signers[roleRoot][0]
	files := built(t, s)
	c := &change{files: maps.Clone(files), img: &Image{}}
	next := newKey(t, "p256")
	id, k, err := keyOf(next.Public())
	require.NoError(t, err)
	rotate := func(version int, signers ...crypto.Signer) map[string][]byte {
		c.files["metadata/2.root.json"] = files["metadata/1.root.json"]
		require.NoError(t, c.edit("metadata/2.root.json", func(signed object) {
			signed["version"] = version
			sub(signed, "keys")[id] = k
			sub(signed, "roles", roleRoot)["keyids"] = []string{id}
		}))
		require.NoError(t, c.sign("metadata/2.root.json", signers...))
		return maps.Clone(c.files)
	}
	for name, tc := range map[string]struct {
		files map[string][]byte
		want  error
	}{
		"both":     {rotate(2, key, next), nil},
		"old only": {rotate(2, key), format.ErrChain},
		"new only": {rotate(2, next), format.ErrChain},
		"skipped":  {rotate(3, key, next), format.ErrStale},
	} {
		img, err := OpenUnverified(folder(tc.files))
		require.NoError(t, err, name)
		_, err = img.Verify(trust(files))
		require.ErrorIs(t, err, tc.want, name)
	}
}

func TestDelegations(t *testing.T) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	here := map[string]File{name: {Content: program}}
	for title, tc := range map[string]struct {
		below []Delegation
		want  error
	}{
		"pattern":         {[]Delegation{{Paths: []string{"sensor-?.bin"}, Targets: here}}, nil},
		"hash prefix":     {[]Delegation{{Prefixes: []string{"00", sum[:3]}, Targets: here}}, nil},
		"another prefix":  {[]Delegation{{Prefixes: []string{strings.Map(func(r rune) rune { return r ^ 1 }, sum[:1])}, Targets: here}}, format.ErrNotBound},
		"no slash in *":   {[]Delegation{{Paths: []string{"*/*"}, Targets: here}}, format.ErrNotBound},
		"not its path":    {[]Delegation{{Paths: []string{"sensor-b*"}, Targets: here}}, format.ErrNotBound},
		"terminating":     {[]Delegation{{Paths: []string{"*"}, Terminating: true}, {Paths: []string{"*"}, Targets: here}}, format.ErrNotBound},
		"not terminating": {[]Delegation{{Paths: []string{"*"}}, {Paths: []string{"*"}, Targets: here}}, nil},
	} {
		t.Run(title, func(t *testing.T) {
			s := spec(t, "ed25519", false)
			s.Targets, s.Delegations = nil, tc.below
			for i := range s.Delegations {
				s.Delegations[i].Name, s.Delegations[i].Signers = fmt.Sprintf("vendor-%d", i), []crypto.Signer{newKey(t, "")}
			}
			files := built(t, s)
			img, err := OpenUnverified(folder(files))
			require.NoError(t, err)
			_, err = img.Verify(trust(files))
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestUptane(t *testing.T) {
	custom := func(s *Spec, c map[string]any) { s.Targets[name] = File{s.Targets[name].Content, c} }
	device := format.Device{Counter: new(uint64(14)), Is: map[string]string{IsECU: unit, IsHardware: "sensor-a"}}
	for title, tc := range map[string]struct {
		change func(director, image *Spec)
		want   error
		says   string
	}{
		"good":              {func(_, _ *Spec) {}, nil, ""},
		"not in the images": {func(_, i *Spec) { i.Targets = map[string]File{"other.bin": {Content: program}} }, format.ErrNotBound, "does not have"},
		"another file":      {func(_, i *Spec) { i.Targets[name] = File{[]byte(strings.ToUpper(string(program))), nil} }, format.ErrBadHash, "another file"},
		"another length":    {func(_, i *Spec) { i.Targets[name] = File{program[:4], nil} }, format.ErrBadHash, "4 for the image repository"},
		"another ECU": {func(d, _ *Spec) {
			custom(d, map[string]any{"releaseCounter": 14, "ecuIdentifiers": map[string]any{"ECU-2": map[string]any{"hardwareId": "sensor-a"}}})
		}, format.ErrWrongDevice, "none of the 1 targets"},
		"other hardware of the ECU": {func(d, _ *Spec) {
			custom(d, map[string]any{"releaseCounter": 14, "ecuIdentifiers": map[string]any{unit: map[string]any{"hardwareId": "sensor-b"}}})
		}, format.ErrWrongDevice, "sensor-b"},
		"repositories differ in hardware": {func(_, i *Spec) { custom(i, map[string]any{"hardwareId": "sensor-b"}) }, format.ErrNotBound, "sensor-b"},
		"repositories differ in counter":  {func(_, i *Spec) { custom(i, map[string]any{"releaseCounter": 15}) }, format.ErrNotBound, "release counter 14"},
		"counter too low": {func(d, i *Spec) {
			custom(d, map[string]any{"releaseCounter": 13, "ecuIdentifiers": map[string]any{unit: map[string]any{"hardwareId": "sensor-a"}}})
			custom(i, map[string]any{"releaseCounter": 13})
		}, format.ErrRollback, "release counter 13, at least 14"},
		"counter of the image alone": {func(d, _ *Spec) {
			custom(d, map[string]any{"ecuIdentifiers": map[string]any{unit: map[string]any{"hardwareId": "sensor-a"}}})
		}, nil, ""},
		"two orders": {func(d, i *Spec) {
			d.Targets["two.bin"] = d.Targets[name]
			i.Targets["two.bin"] = i.Targets[name]
		}, format.ErrMalformed, "for ECU"},
		"director delegates": {func(d, _ *Spec) {
			d.Delegations = []Delegation{{Name: "x", Signers: d.Signers[roleTargets], Paths: []string{"*"}}}
		}, format.ErrMalformed, "the director delegates"},
		"image delegates": {func(_, i *Spec) {
			i.Delegations = []Delegation{{Name: "x", Signers: i.Signers[roleTargets], Paths: []string{"*"}, Targets: i.Targets}}
			i.Targets = nil
		}, nil, ""},
		"image repository expired": {func(_, i *Spec) { i.Expires = now.Add(-time.Second) }, format.ErrStale, "expired"},
	} {
		t.Run(title, func(t *testing.T) {
			g := uptane(t, tc.change)
			img := g.open(t)
			_, err := img.Verify(g.trust)
			if err == nil {
				err = img.Check(device)
			}
			require.ErrorIs(t, err, tc.want)
			if err != nil {
				require.ErrorContains(t, err, tc.says)
			}
		})
	}
}

// TestUptaneRoots: which root is whose is for the caller to say, and neither stands for the other.
func TestUptaneRoots(t *testing.T) {
	g := uptane(t, func(_, _ *Spec) {})
	a, b := g.trust.Own[Name][0], g.trust.Own[Name][1]
	for name, tc := range map[string]struct {
		anchors []format.Anchor
		says    string
	}{
		"one of them": {[]format.Anchor{a}, "was given"},
		"unnamed":     {[]format.Anchor{{From: "root.json", Bytes: a.Bytes}}, "whose root"},
		"exchanged":   {[]format.Anchor{{From: a.From, Bytes: b.Bytes}, {From: b.From, Bytes: a.Bytes}}, "not enough signatures"},
	} {
		_, err := g.open(t).Verify(format.Trust{At: now, Own: map[string][]format.Anchor{Name: tc.anchors}})
		require.ErrorIs(t, err, format.ErrNoTrustedKey, name)
		require.ErrorContains(t, err, tc.says, name)
	}
}

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct{ text, kind, says string }{
		"version 2.0 of TUF": {`{"signed":{"_type":"timestamp","spec_version":"2.0.0"},"signatures":[]}`, roleTimestamp, "want 1.x"},
		"other letters":      {`{"signed":{"_type":"timestamp","Version":1},"signatures":[]}`, roleTimestamp, `written "version"`},
		"no version":         {`{"signed":{"_type":"timestamp","spec_version":"1.0"},"signatures":[]}`, roleTimestamp, "version 0"},
		"no expiry":          {`{"signed":{"_type":"timestamp","spec_version":"1.0","version":1},"signatures":[]}`, roleTimestamp, "no date of expiry"},
		"no snapshot":        {`{"signed":{"_type":"timestamp","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":null}}}`, roleTimestamp, "nothing about snapshot.json"},
		"no digest":          {`{"signed":{"_type":"targets","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","targets":{"a":{"length":1,"hashes":{"md5":"00"}}}}}`, roleTargets, "neither a sha256"},
		"short digest":       {`{"signed":{"_type":"targets","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","targets":{"a":{"length":1,"hashes":{"sha256":"00"}}}}}`, roleTargets, "malformed sha256"},
		"threshold 0":        {`{"signed":{"_type":"root","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","keys":{},"roles":{"root":{"keyids":[],"threshold":0}}}}`, roleRoot, "threshold"},
		"delegated to root":  {`{"signed":{"_type":"targets","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","delegations":{"roles":[{"name":"root"}]}}}`, roleTargets, "another role's name"},
	} {
		_, err := parse([]byte(tc.text), tc.kind)
		require.ErrorIs(t, err, format.ErrMalformed, name)
		require.ErrorContains(t, err, tc.says, name)
	}
}

// TestEndless: neither a file system that lies about sizes nor one whose files never end costs more than the limits.
func TestEndless(t *testing.T) {
	g := goods(t)[0]
	for _, file := range []string{"metadata/timestamp.json", "metadata/3.targets.json"} {
		dir, ok := folder(g.files).Dir.(fstest.MapFS)
		require.True(t, ok)
		_, err := OpenUnverified(format.Input{Dir: endless{dir, file}})
		require.ErrorIs(t, err, format.ErrMalformed)
	}
}

// TestOldRepository: the snapshots of early repositories list the root too, and their first
// roots are written otherwise. Neither is asked for by a client that was made later.
func TestOldRepository(t *testing.T) {
	s := spec(t, "ed25519", true)
	s.NoDigests = true
	key := s.Signers[roleRoot][0]
	files := built(t, s)
	c := &change{files: maps.Clone(files), img: &Image{}}
	require.NoError(t, c.edit("metadata/3.snapshot.json", func(signed object) {
		sub(signed, "meta")["root.json"] = object{"version": 1}
	}))
	require.NoError(t, c.sign("metadata/3.snapshot.json", key))
	c.files["metadata/2.root.json"] = files["metadata/1.root.json"]
	require.NoError(t, c.edit("metadata/2.root.json", func(signed object) { signed["version"] = 2 }))
	require.NoError(t, c.sign("metadata/2.root.json", key))
	c.files["metadata/1.root.json"] = []byte(`{"signed":{"_type":"root"}}`)
	img, err := OpenUnverified(folder(c.files))
	require.NoError(t, err)
	_, err = img.Verify(format.Trust{At: now, Own: map[string][]format.Anchor{Name: {{From: "2.root.json", Bytes: c.files["metadata/2.root.json"]}}}})
	require.NoError(t, err)

	c.files["metadata/2.root.json"] = c.files["metadata/1.root.json"]
	img, err = OpenUnverified(folder(c.files))
	require.NoError(t, err)
	_, err = img.Verify(trust(files))
	require.ErrorIs(t, err, format.ErrMalformed, "the root that comes next cannot be read")
}

// TestInstant: what expires at the time of the update has expired.
func TestInstant(t *testing.T) {
	for _, role := range []string{"root", "timestamp", "3.snapshot", "3.targets"} {
		s := spec(t, "ed25519", true)
		s.NoDigests = true
		file := "metadata/" + strings.Replace(role, "root", "1.root", 1) + ".json"
		c := &change{files: built(t, s), img: &Image{}}
		for name, at := range map[string]time.Time{"now": now, "a second later": now.Add(time.Second)} {
			require.NoError(t, c.edit(file, func(signed object) { signed["expires"] = at.Format(time.RFC3339) }))
			require.NoError(t, c.sign(file, s.Signers[roleRoot][0]))
			img, err := OpenUnverified(folder(c.files))
			require.NoError(t, err)
			_, err = img.Verify(trust(c.files))
			if name == "now" {
				require.ErrorIs(t, err, format.ErrStale, role)
			} else {
				require.NoError(t, err, role)
			}
		}
	}
}

// TestUnasked: a role that has expired spoils the repository only where a file of the folder hangs on it.
func TestUnasked(t *testing.T) {
	s := spec(t, "ed25519", true)
	s.NoDigests = true
	vendor := newKey(t, "ed25519")
	s.Delegations = []Delegation{{Name: "vendor-b", Signers: []crypto.Signer{vendor}, Paths: []string{"sensor-b*"},
		Targets: map[string]File{"sensor-b.bin": {Content: []byte("another program")}}}}
	c := &change{files: built(t, s), img: &Image{}}
	require.NoError(t, c.edit("metadata/3.vendor-b.json", func(signed object) { signed["expires"] = now.Add(-time.Hour).Format(time.RFC3339) }))
	require.NoError(t, c.sign("metadata/3.vendor-b.json", vendor))
	img, err := OpenUnverified(folder(c.files))
	require.NoError(t, err)
	_, err = img.Verify(trust(c.files))
	require.ErrorIs(t, err, format.ErrStale)

	maps.DeleteFunc(c.files, func(file string, _ []byte) bool { return strings.HasSuffix(file, "sensor-b.bin") })
	img, err = OpenUnverified(folder(c.files))
	require.NoError(t, err)
	report, err := img.Verify(trust(c.files))
	require.NoError(t, err)
	require.Contains(t, strings.Join(report.Image.Notes, "\n"), `role "vendor-b" was not asked`)
	require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{IsTarget: "sensor-b.bin"}}), format.ErrWrongDevice)

	c.files["metadata/3.vendor-b.json"] = []byte("{")
	img, err = OpenUnverified(folder(c.files))
	require.NoError(t, err)
	report, err = img.Verify(trust(c.files))
	require.NoError(t, err)
	require.Contains(t, strings.Join(report.Image.Notes, "\n"), `role "vendor-b" cannot be read`)
}
