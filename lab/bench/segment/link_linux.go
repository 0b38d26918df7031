package segment

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"assay/probes"
)

// linkTable holds the rules of a bad link. Frames are lost behind the capture on their way in, and before it
// on their way out: what the device sent is on record, what it never got is not.
const linkTable = "assay_link"

// A Link is a cable into an interface of this machine.
type Link struct {
	Name string
	slow *slow // nil: nothing waits
}

// Features tells what this kernel can do to a link; nil is yes.
type Features struct{ Delay, Loss, Rate error }

// LinkFeatures asks the kernel without changing anything: a queue that is never made, and rules that are
// taken back in the same transaction.
func LinkFeatures() Features {
	f := Features{Rate: haveQueue("tbf"), Loss: haveRules()}
	if f.Rate == nil {
		f.Rate = f.Loss // towards the bench a rate is a rule
	}
	if f.Delay = f.Loss; f.Delay == nil {
		f.Delay = haveForward()
	}
	return f
}

// haveQueue asks for a queue without the options that each of them needs. A kernel that has the kind
// finds them missing (EINVAL), one that has not does not know the kind (ENOENT).
func haveQueue(kind string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return refused("find loopback", err)
	}
	request := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	request.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(lo.Attrs().Index), Parent: netlink.HANDLE_ROOT}) //nolint:gosec // an index
	request.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)))
	_, err = request.Execute(unix.NETLINK_ROUTE, 0)
	if errors.Is(err, unix.EINVAL) {
		return nil
	}
	if errors.Is(err, unix.ENOENT) {
		return refused("queue "+kind, fmt.Errorf("this kernel has no sch_%s: %w", kind, err))
	}
	return refused("queue "+kind, err)
}

func haveRules() error {
	c, err := nftables.New()
	if err != nil {
		return refused("nftables", err)
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "assay_trial"})
	for _, hook := range []*nftables.ChainHook{nftables.ChainHookIngress, nftables.ChainHookEgress} {
		chain := lossy(c, t, "lo", hook)
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: loses(0)})
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: narrow(math.MaxInt32)})
	}
	c.DelTable(t)
	return refused("nftables", c.Flush())
}

// Cut pulls the cable out.
func (l *Link) Cut() error { return l.each("cut the link", netlink.LinkSetDown) }

// Join puts it back in.
func (l *Link) Join() error { return l.each("restore the link", netlink.LinkSetUp) }

func (l *Link) each(step string, f func(netlink.Link) error) error {
	link, err := netlink.LinkByName(l.Name)
	if err != nil {
		return refused(step, err)
	}
	return refused(step, f(link))
}

// Degrade makes the link as bad as that. It is not called by two at once.
func (l *Link) Degrade(c probes.LinkConditions) error {
	link, err := netlink.LinkByName(l.Name)
	if err != nil {
		if c == (probes.LinkConditions{}) {
			return errors.Join(refused("find "+l.Name, err), l.hurry())
		}
		return refused("find "+l.Name, err)
	}
	if err := l.queue(link, c); err != nil {
		return err
	}
	waiting := 0
	if c.Delay > 0 || c.Jitter > 0 {
		if waiting, err = l.wait(link, c); err != nil {
			return err
		}
	}
	if err := l.rules(c, waiting); err != nil {
		return err
	}
	if waiting == 0 {
		return l.hurry()
	}
	return nil
}

// wait has a forwarder ready for frames that wait, and tells where they are to be put.
func (l *Link) wait(link netlink.Link, c probes.LinkConditions) (index int, err error) {
	if l.slow == nil {
		if l.slow, err = startSlow(link, c.Delay, c.Jitter); err != nil {
			return 0, err
		}
	}
	l.slow.set(c.Delay, c.Jitter)
	in, err := netlink.LinkByName(slowIn)
	if err != nil {
		return 0, refused("find "+slowIn, err)
	}
	return in.Attrs().Index, nil
}

// hurry ends the forwarder.
func (l *Link) hurry() error {
	if l.slow == nil {
		return nil
	}
	err := l.slow.end()
	l.slow = nil
	return refused("end the delay of "+l.Name, err)
}

// queue holds back what goes to the device.
func (l *Link) queue(link netlink.Link, c probes.LinkConditions) error {
	attrs := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(0xA55A, 0), Parent: netlink.HANDLE_ROOT}
	// The one before goes first: two kinds of queue cannot take each other's place by a change.
	err := netlink.QdiscDel(&netlink.GenericQdisc{QdiscAttrs: attrs})
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return refused("take the queue of "+l.Name+" away", err)
	}
	const burst = 32 << 10
	rate := uint64(max(c.Rate, 0)) / 8
	if rate == 0 {
		return nil
	}
	// Half a second of it may wait; one more frame than that is lost, as in a modem.
	err = netlink.QdiscAdd(&netlink.Tbf{QdiscAttrs: attrs, Rate: rate, Limit: uint32(min(max(rate/2, burst), math.MaxInt32)), Buffer: ticks(rate, burst)}) //nolint:gosec // bounded
	return refused("slow "+l.Name+" down", err)
}

// ticks is the time that a burst takes at a rate, in the kernel's units.
func ticks(rate, burst uint64) uint32 {
	return uint32(min(float64(burst)*1e6/float64(rate)*netlink.TickInUsec(), math.MaxInt32))
}

// rules lose frames in both directions, police what comes from the device, and put what goes to it where it waits.
func (l *Link) rules(c probes.LinkConditions, waiting int) error {
	n, err := nftables.New()
	if err != nil {
		return refused("nftables", err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyNetdev, Name: linkTable}
	n.AddTable(t) // so that there is one to delete
	n.DelTable(t)
	bad := c.Loss > 0 || c.Rate > 0 || waiting > 0
	if bad {
		n.AddTable(t)
		in := lossy(n, t, l.Name, nftables.ChainHookIngress)
		if c.Loss > 0 {
			n.AddRule(&nftables.Rule{Table: t, Chain: in, Exprs: loses(c.Loss)})
		}
		if c.Loss > 0 || waiting > 0 {
			out := lossy(n, t, l.Name, nftables.ChainHookEgress)
			if waiting > 0 {
				n.AddRule(&nftables.Rule{Table: t, Chain: out, Exprs: hasWaited()})
			}
			if c.Loss > 0 {
				n.AddRule(&nftables.Rule{Table: t, Chain: out, Exprs: loses(c.Loss)})
			}
		}
		if c.Rate > 0 {
			n.AddRule(&nftables.Rule{Table: t, Chain: in, Exprs: narrow(c.Rate)})
		}
	}
	if err := n.Flush(); err != nil {
		if !bad {
			return nil // without nftables there is nothing to take away
		}
		return refused("lose frames on "+l.Name, err)
	}
	if waiting > 0 {
		return refused("slow "+l.Name+" down", forwards(t, "out", waiting))
	}
	return nil
}

func lossy(c *nftables.Conn, t *nftables.Table, device string, hook *nftables.ChainHook) *nftables.Chain {
	name := "in"
	if hook == nftables.ChainHookEgress {
		name = "out"
	}
	accept := nftables.ChainPolicyAccept
	return c.AddChain(&nftables.Chain{
		Name: name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFilter, Policy: &accept, Device: device,
	})
}

// loses drops so many of 100 frames.
func loses(percent float64) []expr.Any {
	const of = 1_000_000
	return []expr.Any{
		&expr.Numgen{Register: 1, Modulus: of, Type: unix.NFT_NG_RANDOM},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binaryutil.BigEndian.PutUint32(uint32(min(max(percent, 0), 100) * of / 100))},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// hasWaited lets through what the forwarder sends on.
func hasWaited() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(slowMark)},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}
}

// narrow drops what is more than a rate in bits per second.
func narrow(rate int64) []expr.Any {
	bytes := uint64(max(rate/8, 1))
	return []expr.Any{
		&expr.Limit{Type: expr.LimitTypePktBytes, Rate: bytes, Over: true, Unit: expr.LimitTimeSecond, Burst: uint32(min(max(bytes/2, 8<<10), math.MaxInt32))}, //nolint:gosec // bounded
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}
