package analyze

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/capture"
)

// A rewriting is a form in which other programs would have captured the same packets.
type rewriting struct {
	link  uint32
	order binary.AppendByteOrder
	magic uint32
	head  func(frame []byte) []byte // what comes in place of the Ethernet header
}

func rewritings() map[string]rewriting {
	const micro, nano = 0xa1b2c3d4, 0xa1b23c4d
	little, big := binary.LittleEndian, binary.BigEndian
	tagged := func(tags ...byte) func([]byte) []byte {
		return func(f []byte) []byte { return slices.Concat(f[:12], tags, f[12:14]) }
	}
	family := func(order binary.AppendByteOrder) func([]byte) []byte {
		return func([]byte) []byte { return order.AppendUint32(nil, 2) }
	}
	bare := func([]byte) []byte { return nil }
	return map[string]rewriting{
		"Ethernet":                {1, little, micro, tagged()},
		"big-endian":              {1, big, micro, tagged()},
		"nanoseconds":             {1, little, nano, tagged()},
		"nanoseconds, big-endian": {1, big, nano, tagged()},
		"VLAN":                    {1, little, micro, tagged(0x81, 0, 0, 42)},
		"802.1ad":                 {1, little, micro, tagged(0x88, 0xa8, 0, 7, 0x81, 0, 0, 42)},
		"a tag of before 802.1ad": {1, little, micro, tagged(0x91, 0, 0, 7, 0x81, 0, 0, 42)},
		"raw IP":                  {101, little, micro, bare},
		"raw IPv4":                {228, little, micro, bare},
		"loopback, little-endian": {0, little, micro, family(little)},
		"loopback, big-endian":    {0, big, micro, family(big)},
		"loopback of OpenBSD":     {108, little, micro, family(big)},
		"Linux cooked":            {113, little, micro, func(f []byte) []byte { return slices.Concat([]byte{0, 0, 0, 1, 0, 6}, f[6:12], []byte{0, 0}, f[12:14]) }},
		"Linux cooked, version two": {276, little, micro, func(f []byte) []byte {
			return slices.Concat(f[12:14], []byte{0, 0, 0, 0, 0, 2, 0, 1, 0, 6}, f[6:12], []byte{0, 0})
		}},
	}
}

// write makes a pcap of the packets that the link can carry, and tells how many.
func (r rewriting) write(t *testing.T, path string, frames [][]byte) (packets int) {
	t.Helper()
	b := r.order.AppendUint32(nil, r.magic)
	b = r.order.AppendUint16(r.order.AppendUint16(b, 2), 4)
	for _, n := range []uint32{0, 0, 1 << 18, r.link} {
		b = r.order.AppendUint32(b, n)
	}
	for i, f := range frames {
		if f[12] != 8 || f[13] != 0 {
			continue // what is not IPv4 has no form on some of the links
		}
		data := slices.Concat(r.head(f), f[14:])
		for _, n := range []int{1764000000 + i, i, len(data), len(data)} {
			b = r.order.AppendUint32(b, uint32(n))
		}
		b = append(b, data...)
		packets++
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return packets
}

// TestAgreesOnLinks reads the same packets in every form, beside tshark.
func TestAgreesOnLinks(t *testing.T) {
	var original bytes.Buffer
	w, s := newWorld(t, &original), newScenes(t)
	w.device(1, &s)
	require.NoError(t, w.w.Flush())
	r, err := capture.NewReader(&original)
	require.NoError(t, err)
	var frames [][]byte
	for f, err := r.Next(); err == nil; f, err = r.Next() {
		frames = append(frames, bytes.Clone(f.Data))
	}
	require.Greater(t, len(frames), 400)
	for name, form := range rewritings() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "odd.pcap")
			packets := form.write(t, path, frames)
			a, err := File(t.Context(), path, Options{})
			require.NoError(t, err)
			assert.EqualValues(t, packets, a.Capture.Packets)
			assert.Zero(t, a.Capture.Undecoded)
			assert.Empty(t, a.Notes)
			s := tsharkReads(t, path)
			var mqtt Count
			for _, n := range s.mqtt {
				mqtt += n
			}
			names := map[string]bool{}
			for _, n := range a.DNS {
				names[n.Name] = true
			}
			assert.Equal(t, []any{s.packets, len(s.tcp), len(s.udp), s.names, s.coap},
				[]any{int(a.Capture.Packets), int(a.Totals["tcp flows"]), int(a.Totals["udp flows"]), names, int(a.Totals["coap messages"])})
			assert.Equal(t, mqtt, a.Totals["mqtt connect"]+a.Totals["mqtt connack"]+a.Totals["mqtt publish"]+a.Totals["mqtt puback"]+a.Totals["mqtt subscribe"]+
				a.Totals["mqtt suback"]+a.Totals["mqtt ping request"]+a.Totals["mqtt ping response"]+a.Totals["mqtt disconnect"])
		})
	}
}
