package capture

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/capture/wire"
	"assay/probes"
)

func TestSecretsMoveToTheHead(t *testing.T) {
	frames := samples(t)
	late := encode(frames[0], frames[1])
	late = appendSecrets(late, []byte("CLIENT_RANDOM late\n"))
	for _, f := range frames[2:] {
		late = appendPacket(late, packet{nanoseconds: 5, data: f, original: len(f)}, []string{"kept"})
	}
	late = append(late, 6, 0, 0, 0, 99) // a run that was killed
	path := filepath.Join(t.TempDir(), "run.pcapng")
	require.NoError(t, os.WriteFile(path, late, 0o640))
	require.NoError(t, MoveSecrets(path, []byte("CLIENT_RANDOM added\n")))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	head := len(appendSection(nil, ""))
	secrets := appendSecrets(appendSecrets(nil, []byte("CLIENT_RANDOM late\n")), []byte("CLIENT_RANDOM added\n"))
	assert.Equal(t, secrets, got[head:head+len(secrets)])
	assert.Len(t, got, len(late)+len(appendSecrets(nil, []byte("CLIENT_RANDOM added\n"))))
	assert.True(t, bytes.HasSuffix(got, []byte{6, 0, 0, 0, 99}), "the cut end stays")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode().Perm())
	read, err := readAll(got)
	require.ErrorIs(t, err, ErrCut)
	require.Len(t, read, len(frames))
	for i, f := range read {
		assert.Equal(t, frames[i], f.Data)
	}
	again := bytes.Clone(got)
	require.NoError(t, MoveSecrets(path, nil))
	got, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, again, got, "once more changes nothing")
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestSecretsWantOurKindOfFile(t *testing.T) {
	good := encode(samples(t)...)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty": {nil, "it is empty"}, "older pcap": {[]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0}, "no little-endian pcapng"},
		"two sections": {append(bytes.Clone(good), appendSection(nil, "")...), "several sections"},
		"odd block":    {append(bytes.Clone(good), 6, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0), "has 13 bytes"},
	} {
		path := filepath.Join(t.TempDir(), "x.pcapng")
		require.NoError(t, os.WriteFile(path, c.data, 0o600))
		require.ErrorContains(t, MoveSecrets(path, []byte("x")), c.want, name)
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, c.data, append([]byte(nil), kept...), name)
	}
	require.ErrorIs(t, MoveSecrets(filepath.Join(t.TempDir(), "nowhere"), nil), os.ErrNotExist)
}

func TestSecretsOfARunningCapture(t *testing.T) {
	c, s := scripted(t)
	s.give(udpFrame(t, 1, 2, []byte("before")))
	from, err := c.Mark(t.Context())
	require.NoError(t, err)
	_, err = c.KeyLog().Write([]byte("CLIENT_RANDOM one\n"))
	require.NoError(t, err)
	s.give(udpFrame(t, 1, 2, []byte("after")))
	to, err := c.Mark(t.Context())
	require.NoError(t, err)
	running, err := os.ReadFile(c.options.Path)
	require.NoError(t, err)
	assert.True(t, bytes.Contains(running, []byte("CLIENT_RANDOM one")), "a killed run has them")
	require.ErrorContains(t, c.Secrets(make([]byte, maxSecrets)), "more than")
	require.NoError(t, c.Secrets([]byte("CLIENT_RANDOM two\n")))
	require.NoError(t, c.Close())
	require.ErrorContains(t, c.Secrets([]byte("x")), "it has ended")
	closed, err := os.ReadFile(c.options.Path)
	require.NoError(t, err)
	assert.Less(t, bytes.Index(closed, []byte("two")), bytes.Index(closed, []byte("before")))
	w, err := c.Window(t.Context(), probes.Mark{Frame: from.Frame, At: from.At}, to)
	require.NoError(t, err)
	assert.True(t, w.Complete)
	assert.Equal(t, [][]byte{[]byte("after")}, collect(w), "windows still find their frames")
}

func TestSnapLengthSpoilsAbsence(t *testing.T) {
	o, err := Options{Interface: "test0", Path: filepath.Join(t.TempDir(), "run.pcapng"), MAC: deviceMAC, Clock: wall{}, SnapBytes: 60, About: "port 3"}.check()
	require.NoError(t, err)
	out, head, err := create(o)
	require.NoError(t, err)
	s := newScript()
	c := begin(t.Context(), o, s, out, head)
	s.give(udpFrame(t, 1, 2, bytes.Repeat([]byte("x"), 100)))
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	w, err := c.Window(t.Context(), probes.Mark{}, m)
	require.NoError(t, err)
	assert.False(t, w.Complete)
	require.NoError(t, c.Close())
	file, err := os.Open(c.options.Path)
	require.NoError(t, err)
	defer file.Close()
	r, err := NewReader(file)
	require.NoError(t, err)
	f, err := r.Next()
	require.NoError(t, err)
	assert.Len(t, f.Data, 60)
	assert.Equal(t, 142, f.Original)
	assert.Equal(t, Interface{Name: "test0", Description: "port 3", Link: wire.LinkEthernet, Snap: 60}, r.Interfaces()[0])
	for spoil, want := range map[*Options]string{{SnapBytes: -1}: "snap length", {SnapBytes: snapLength + 1}: "snap length", {About: string(make([]byte, 2000))}: "description"} {
		spoil.Interface, spoil.Path, spoil.Clock = "x", "x", wall{}
		_, err := spoil.check()
		require.ErrorContains(t, err, want)
	}
}
