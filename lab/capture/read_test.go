package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func samples(t testing.TB) [][]byte {
	t.Helper()
	return [][]byte{
		arpFrame(t), udpFrame(t, 5000, 53, []byte("abc")), tcpFrame(t, 5000, 8883, 7, true, nil),
		tcpFrame(t, 5000, 8883, 8, false, []byte("hello")), udp6Frame(t, []byte("six")),
	}
}

func TestGopacketReadsOurFile(t *testing.T) {
	frames := samples(t)
	data := encode(frames...)
	data = appendPacket(data, packet{nanoseconds: 5, data: frames[0], original: 9000, outbound: true}, []string{"step", "more"})
	data = appendStatistics(data, statistics{nanoseconds: 6, written: 6, lost: 4}, []string{"end"})
	r, err := pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.DefaultNgReaderOptions)
	require.NoError(t, err)
	for i, want := range frames {
		got, info, err := r.ReadPacketData()
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, 1_700_000_000_000_000_000+int64(i), info.Timestamp.UnixNano())
		assert.Equal(t, len(want), info.Length)
	}
	_, info, err := r.ReadPacketData()
	require.NoError(t, err)
	assert.Equal(t, 9000, info.Length)
	_, _, err = r.ReadPacketData()
	require.ErrorIs(t, err, io.EOF)
	link, err := r.Interface(0)
	require.NoError(t, err)
	assert.EqualValues(t, 10, link.Statistics.PacketsReceived)
	assert.EqualValues(t, 4, link.Statistics.PacketsDropped)
	assert.Equal(t, "test0", link.Name)
	assert.EqualValues(t, layers.LinkTypeEthernet, link.LinkType)
	assert.Equal(t, "assay", r.SectionInfo().Application)
}

func TestWeReadGopacketsFiles(t *testing.T) {
	frames := samples(t)
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
	var ng, classic, nano bytes.Buffer
	w, err := pcapgo.NewNgWriter(&ng, layers.LinkTypeEthernet)
	require.NoError(t, err)
	c := pcapgo.NewWriter(&classic)
	require.NoError(t, c.WriteFileHeader(65536, layers.LinkTypeEthernet))
	n := pcapgo.NewWriterNanos(&nano)
	require.NoError(t, n.WriteFileHeader(65536, layers.LinkTypeEthernet))
	for _, f := range frames {
		info := captureInfo(at, len(f))
		require.NoError(t, w.WritePacket(info, f))
		require.NoError(t, c.WritePacket(info, f))
		require.NoError(t, n.WritePacket(info, f))
	}
	require.NoError(t, w.Flush())
	for name, data := range map[string][]byte{"pcapng": ng.Bytes(), "pcap": classic.Bytes(), "nanosecond pcap": nano.Bytes()} {
		got, err := readAll(data)
		require.ErrorIs(t, err, io.EOF, name)
		require.Len(t, got, len(frames), name)
		for i, f := range got {
			assert.Equal(t, frames[i], f.Data, name)
			assert.Equal(t, at, f.At, name)
			assert.EqualValues(t, i+1, f.Number, name)
			assert.Equal(t, 1, f.Link, name)
		}
	}
}

func readAll(data []byte) (frames []Frame, err error) {
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for {
		f, err := r.Next()
		if err != nil {
			return frames, err
		}
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
}

func TestCutAtAnyByte(t *testing.T) {
	frames := samples(t)
	data := encode(frames...)
	ends := []int{len(encode())}
	for i := range frames {
		ends = append(ends, len(encode(frames[:i+1]...)))
	}
	for cutAt := range len(data) {
		got, err := readAll(data[:cutAt])
		if cutAt < len(appendSection(nil, "")) {
			require.ErrorContains(t, err, "the capture's head")
			continue
		}
		require.Truef(t, errors.Is(err, io.EOF) || errors.Is(err, ErrCut), "cut at %d: %v", cutAt, err)
		whole := 0
		for whole < len(frames) && ends[whole+1] <= cutAt {
			whole++
		}
		require.Lenf(t, got, whole, "cut at %d", cutAt)
		if cutAt >= ends[0] {
			path := t.TempDir() + "/cut.pcapng"
			require.NoError(t, os.WriteFile(path, data[:cutAt], 0o600))
			lines, err := Describe(path, 1, 0, 0)
			require.NoError(t, err)
			require.Len(t, lines, whole)
		}
	}
}

func TestBigEndianSectionsAndUnknownBlocks(t *testing.T) {
	big := func(kind uint32, body ...[]byte) []byte {
		joined := bytes.Join(body, nil)
		b := binary.BigEndian.AppendUint32(nil, kind)
		b = binary.BigEndian.AppendUint32(b, uint32(len(joined)+12))
		return binary.BigEndian.AppendUint32(append(b, joined...), uint32(len(joined)+12))
	}
	data := encode(arpFrame(t))
	data = append(data, big(blockSection, []byte{0x1A, 0x2B, 0x3C, 0x4D, 0, 1, 0, 0}, bytes.Repeat([]byte{0xff}, 8))...)
	data = append(data, big(0x0BAD, []byte("whatever"))...)
	// Milliseconds as 2^-10 s, and an offset of one hour.
	data = append(data, big(blockInterface, []byte{0, 113, 0, 0, 0, 0, 0, 3},
		[]byte{0, optTsResol, 0, 1, 0x8a, 0, 0, 0}, []byte{0, optTsOffset, 0, 8, 0, 0, 0, 0, 0, 0, 0x0e, 0x10})...)
	data = append(data, big(blockPacket, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x06, 0, 0, 0, 0, 2, 0, 0, 0, 5}, []byte{1, 2, 0, 0})...)
	data = append(data, big(blockSimple, []byte{0, 0, 0, 9, 7, 8, 9, 0})...)
	got, err := readAll(data)
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, got, 3)
	assert.Equal(t, Frame{Number: 2, At: time.Unix(3601, 5e8).UTC(), Data: []byte{1, 2}, Original: 5, Link: 113, Interface: 1}, got[1])
	assert.Equal(t, Frame{Number: 3, Data: []byte{7, 8, 9}, Original: 9, Link: 113, Interface: 1}, got[2])
}

func TestBadFiles(t *testing.T) {
	good := encode(arpFrame(t))
	first := len(encode())
	patch := func(at int, b ...byte) []byte {
		data := bytes.Clone(good)
		copy(data[at:], b)
		return data
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no capture":         {[]byte("MZ and so on, for 24 bytes and more"), "neither pcapng nor pcap"},
		"no byte order":      {patch(8, 0), "without a byte order"},
		"later version":      {patch(12, 2), "pcapng version 2"},
		"odd length":         {patch(first+4, 13, 0, 0, 0), "block of 13 bytes"},
		"huge length":        {patch(first+4, 0xfc, 0xff, 0xff, 0xff), "block of 4294967292 bytes"},
		"lengths disagree":   {patch(first+4, good[first+4]-4), "ends as one of"},
		"no such interface":  {patch(first+8, 1), "interface 1 of 1"},
		"longer than block":  {patch(first+20, 0xff), "packet of 255 bytes in a block"},
		"option leaves":      {patch(first+28+60, 2, 0, 0xff, 0), "leaves its block"},
		"time unit":          {bytes.Replace(good, []byte{9, 0, 1, 0, 9}, []byte{9, 0, 1, 0, 99}, 1), "10^-99"},
		"binary time unit":   {bytes.Replace(good, []byte{9, 0, 1, 0, 9}, []byte{9, 0, 1, 0, 0xff}, 1), "2^-127"},
		"classic, too large": {append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 16)...), "packet of 4294967295 bytes"},
	} {
		_, err := readAll(c.data)
		assert.ErrorContains(t, err, c.want, name)
	}
}

func TestTsharkReadsOurFile(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("needs tshark: apt-get install tshark")
	}
	frames := samples(t)
	data := encode(frames...)
	data = appendPacket(data, packet{nanoseconds: 1e18, data: frames[0], original: len(frames[0])}, []string{"step 1"})
	data = appendStatistics(data, statistics{nanoseconds: 2e18, written: 6}, nil)
	path := t.TempDir() + "/run.pcapng"
	require.NoError(t, os.WriteFile(path, data, 0o600))
	out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e", "frame.comment").Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 6)
	assert.Contains(t, lines[5], "step 1")
}

func FuzzRead(f *testing.F) {
	good := encode(samples(f)...)
	f.Add(good)
	f.Add(good[:len(good)-7])
	f.Add(appendStatistics(appendPacket(good, packet{data: []byte("x"), original: 1}, []string{"c"}), statistics{}, nil))
	var classic bytes.Buffer
	w := pcapgo.NewWriter(&classic)
	require.NoError(f, w.WriteFileHeader(65536, layers.LinkTypeEthernet))
	require.NoError(f, w.WritePacket(captureInfo(time.Unix(1, 0), 3), []byte("abc")))
	f.Add(classic.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, err := readAll(data)
		if err == nil {
			t.Fatal("reading never ends without a reason")
		}
		for i, frame := range frames {
			if frame.Number != uint64(i+1) {
				t.Fatalf("frame %d is numbered %d", i+1, frame.Number)
			}
			if _, err := frame.At.MarshalJSON(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
