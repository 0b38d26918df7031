package segment

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzARP(f *testing.F) {
	at := netip.MustParseAddr("10.77.0.100")
	owner := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	reply := arpProbe(owner, at)
	reply[21] = arpReply
	copy(reply[28:], at.AsSlice())
	require.Equal(f, owner, arpOwner(reply, at))
	require.Nil(f, arpOwner(arpProbe(owner, at), at))
	f.Add(reply)
	f.Add(reply[:41])
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := arpOwner(b, at); o != nil {
			require.Len(t, o, 6)
		}
	})
}
