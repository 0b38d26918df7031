package segment

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// fenceTable holds what passes between the device's segment and the rest of the world. It is left behind by a run
// that is killed, so that the device stays shut in; the next run replaces it.
const fenceTable = "assay_gateway"

// A Door is one place outside that the device may reach.
type Door struct {
	To  netip.AddrPort
	UDP bool
}

// A Fence shuts the device's segment in.
type Fence struct{ table *nftables.Table }

// Shut lets nothing pass between an interface and the others, in either direction, but connections
// from the segment to the doors by way of the uplink. The device reaches this machine only at addresses of
// its own segment. What does not touch the interface is left to others.
func Shut(nic string, segment netip.Prefix, uplink string, doors []Door) (*Fence, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, refused("nftables", err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: fenceTable}
	c.AddTable(t)
	c.DelTable(t)
	c.AddTable(t)
	drop, accept := nftables.ChainPolicyDrop, nftables.ChainPolicyAccept
	forward := c.AddChain(&nftables.Chain{
		Name: "forward", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop,
	})
	input := c.AddChain(&nftables.Chain{
		Name: "input", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter, Policy: &accept,
	})
	rule := func(chain *nftables.Chain, kind expr.VerdictKind, parts ...[]expr.Any) {
		var all []expr.Any
		for _, p := range parts {
			all = append(all, p...)
		}
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: append(all, &expr.Verdict{Kind: kind})})
	}
	rule(forward, expr.VerdictAccept, interfaceIs(expr.MetaKeyIIFNAME, expr.CmpOpNeq, nic), interfaceIs(expr.MetaKeyOIFNAME, expr.CmpOpNeq, nic))
	from := through(expr.MetaKeyIIFNAME, nic)
	rule(input, expr.VerdictAccept, from, within(16, segment))
	rule(input, expr.VerdictAccept, from, within(16, netip.MustParsePrefix("224.0.0.0/4")))
	rule(input, expr.VerdictAccept, from, within(16, netip.MustParsePrefix("255.255.255.255/32")))
	rule(input, expr.VerdictDrop, from, ipv4())
	if uplink != "" {
		out := through(expr.MetaKeyOIFNAME, uplink)
		rule(forward, expr.VerdictAccept, through(expr.MetaKeyIIFNAME, uplink), established())
		rule(forward, expr.VerdictAccept, from, out, established())
		for _, d := range doors {
			rule(forward, expr.VerdictAccept, from, out, within(12, segment), within(16, netip.PrefixFrom(d.To.Addr(), 32)), port(d))
		}
		nat := c.AddChain(&nftables.Chain{
			Name: "nat", Table: t, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource, Policy: &accept,
		})
		c.AddRule(&nftables.Rule{Table: t, Chain: nat, Exprs: append(append(out, within(12, segment)...), &expr.Masq{})})
	}
	if err := c.Flush(); err != nil {
		return nil, refused("shut the segment in", err)
	}
	return &Fence{t}, nil
}

// Open takes the fence away.
func (f *Fence) Open() error {
	c, err := nftables.New()
	if err != nil {
		return refused("nftables", err)
	}
	c.DelTable(f.table)
	return refused("take the segment's fence away", c.Flush())
}

// through is one interface.
func through(key expr.MetaKey, name string) []expr.Any { return interfaceIs(key, expr.CmpOpEq, name) }

// interfaceIs compares an interface's name, which the kernel pads with zeros.
func interfaceIs(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	var padded [unix.IFNAMSIZ]byte
	copy(padded[:unix.IFNAMSIZ-1], name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: padded[:]}}
}

func ipv4() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.NFPROTO_IPV4}}}
}

// within compares the address at an offset of the IPv4 header: 12 is the sender's, 16 the receiver's (RFC 791).
func within(offset uint32, p netip.Prefix) []expr.Any {
	address := p.Masked().Addr().As4()
	mask := [4]byte{}
	for i := range p.Bits() {
		mask[i/8] |= 1 << (7 - i%8)
	}
	return append(ipv4(),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask[:], Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: address[:]},
	)
}

func port(d Door) []expr.Any {
	protocol := byte(unix.IPPROTO_TCP)
	if d.UDP {
		protocol = unix.IPPROTO_UDP
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(d.To.Port())},
	}
}

// established holds for connections that were let through before.
func established() []expr.Any {
	const bits = expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// Forward lets the kernel pass packets between the interface and an uplink; what may pass is the fence's
// business, which must stand already.
func (n *NIC) Forward(uplink string) error {
	for _, name := range []string{n.name, uplink} {
		if err := n.setOn(name, "ipv4", "forwarding", "1"); err != nil {
			return refused("forward between "+n.name+" and "+uplink, err)
		}
	}
	return nil
}
