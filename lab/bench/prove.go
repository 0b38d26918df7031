package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"assay/lab"
	"assay/lab/bench/segment"
	"assay/lab/bench/standin"
	"assay/probes"
	"assay/profiles/dossier"
)

// A proof is how a bench can prove itself with a known-good device on its segment.
type proof struct {
	plug    func(net.HardwareAddr) (*segment.Guest, error)
	how     string // it is plugged in
	live    func() bool
	address netip.Prefix // of the bench
	mac     net.HardwareAddr
	dhcp    *DHCPFile
	closed  bool // the name server knows nothing but what the dossier and we name
	dossier *dossier.Dossier
	done    bool // it was done once, so that nothing but the bench itself can stand in its way
}

// prover makes ready for it.
func (b *Bench) prover(o Options, address netip.Prefix, p proof) {
	p.address, p.dossier, p.closed = address, o.Dossier, true
	if o.File != nil {
		p.dhcp, p.closed = o.File.DHCP, o.File.DNS == nil
	}
	p.mac = guestMAC(o.Dossier)
	b.proof = &p
}

// guestMAC is an address that no vendor has (it is locally administered, IEEE 802) and no unit of the dossier.
func guestMAC(d *dossier.Dossier) net.HardwareAddr {
	mac := net.HardwareAddr{0x02, 0xa5, 0x5a, 0x5e, 0x1f, 0x01}
	for slices.ContainsFunc(d.Units, func(u dossier.Unit) bool { return strings.EqualFold(u.MAC, mac.String()) }) {
		mac[5]++
	}
	return mac
}

// noProof tells why a bench of a mode has no known-good device.
func noProof(mode string) error {
	switch mode {
	case ModeGateway, ModeReference:
		return nil
	case ModeReduced:
		return withHint(fmt.Errorf("the reduced bench has no segment that a known-good device could be plugged into: %w", probes.ErrBench), mendReduced)
	}
	return withHint(fmt.Errorf("the network of mode %s is not the lab's own: a device that the bench brings would be a stranger on it: %w", mode, probes.ErrBench),
		"mode: gateway, where the device can have an interface of the bench to itself")
}

// cannotProve explains why a known-good device could not be plugged in.
func cannotProve(err error) error {
	mend := hintOf(err)
	switch {
	case mend != "":
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		mend = "run it with sudo: a device of the bench's own needs a network namespace"
	default:
		mend = "use a kernel that has it: modprobe veth sch_ingress cls_u32 act_mirred, or CONFIG_VETH, CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32, CONFIG_NET_ACT_MIRRED"
	}
	return withHint(fmt.Errorf("no known-good device can be plugged in: %w", err), mend)
}

// hintOf asks an error whether it knows its mend.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// Prove plugs a known-good device into the segment and compares what it meets with what is known. Its frames are not the
// device's under test; what it leased and called is forgotten again.
func (b *Bench) Prove(ctx context.Context) lab.SelfTest {
	began := b.Probes.Clock.Now()
	t := b.proveBy(ctx)
	t.Milliseconds = b.Probes.Clock.Now().Sub(began).Milliseconds()
	return t
}

func (b *Bench) proveBy(ctx context.Context) lab.SelfTest {
	p := b.proof
	if p == nil {
		err := cmp.Or(noProof(b.Mode), errors.New("this bench serves another unit's, which is tested"))
		return lab.SelfTest{NotDone: err.Error(), Mend: hintOf(err)}
	}
	t := lab.SelfTest{Device: p.how, MAC: p.mac.String(), Mend: "`assay doctor` looks at the machine; what a good device did not get is named above, and other programs with rules or servers on the segment are the first to look for"}
	if err := b.settle(); err != nil {
		t.Answers = []lab.SelfAnswer{{Asked: "link", Want: "a sound one", Got: err.Error()}}
		return t
	}
	g, err := invite(p.plug, p.mac)
	if err != nil && !p.done {
		err = cannotProve(err)
		return lab.SelfTest{NotDone: err.Error(), Mend: hintOf(err)}
	}
	if err != nil {
		t.Answers = []lab.SelfAnswer{{Asked: "plug", Want: "a known-good device on the segment", Got: err.Error()}}
		return t
	}
	p.done = true
	x := &examiner{b: b, proof: p, guest: g}
	from, marked := b.mark(ctx)
	b.remark("the bench tests itself from here on: frames of " + p.mac.String() + " are not those of the device under test")
	x.examine(ctx)
	if err := g.leave(); err != nil {
		x.add("unplug", "the segment as it was", err.Error(), false)
	}
	b.leased.Forget(p.mac.String())
	b.remark("the bench has tested itself")
	to, again := b.mark(ctx)
	if marked = marked && again; marked && to.Frame > from.Frame {
		t.Frames = &probes.Frames{First: from.Frame + 1, Last: to.Frame, Dropped: to.Dropped - from.Dropped}
	}
	t.Address, t.Answers = x.address.String(), x.answers
	t.Sound = len(x.answers) > 0 && !slices.ContainsFunc(x.answers, func(a lab.SelfAnswer) bool { return !a.OK && a.NotDone == "" })
	if t.Sound {
		t.Mend = ""
	} else if marked {
		if w, err := b.Capture.Window(ctx, from, to); err == nil {
			t.Others = w.Sent
		}
	}
	return t
}

func (b *Bench) mark(ctx context.Context) (probes.Mark, bool) {
	if b.Capture == nil {
		return probes.Mark{}, false
	}
	m, err := b.Capture.Mark(ctx)
	return m, err == nil
}

func (b *Bench) remark(text string) {
	if b.Capture != nil {
		b.Capture.Comment(text)
	}
}

// An examiner has the known-good device do one thing after the other.
type examiner struct {
	*proof
	b       *Bench
	guest   *guest
	address netip.Prefix // of the guest
	answers []lab.SelfAnswer
}

func (x *examiner) add(asked, want, got string, ok bool) {
	x.answers = append(x.answers, lab.SelfAnswer{Asked: asked, Want: want, Got: got, OK: ok})
}

// ask has the guest do one thing; got tells in words what came of it, and whether it is what was wanted.
func (x *examiner) ask(ctx context.Context, asked, want string, r standin.Request, got func(standin.Answer) (string, bool)) bool {
	a, err := x.guest.do(ctx, r)
	if err != nil {
		x.add(asked, want, err.Error(), false)
		return false
	}
	words, ok := got(a)
	if words == "" {
		words = a.Error
	}
	x.add(asked, want, words, ok)
	return ok
}

// without notes what this bench has nothing of.
func (x *examiner) without(asked, why string) {
	x.answers = append(x.answers, lab.SelfAnswer{Asked: asked, NotDone: why})
}
