package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"
)

const (
	diskLeast = 200 << 20
	diskSmall = 2 << 30
)

// host looks at clock and disk.
func (x *examination) host() {
	x.clock()
	x.disk()
}

// clock asks the kernel whether anybody keeps its time (adjtimex(2)).
func (x *examination) clock() {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		x.note("clock", Warning, "whether the clock is synchronised cannot be found out: "+err.Error(), unsynchronised, "run chrony, ntpd or systemd-timesyncd")
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		x.note("clock", Warning, "nobody synchronises this machine's clock", unsynchronised, "run chrony, ntpd or systemd-timesyncd: sudo timedatectl set-ntp true")
	default:
		x.note("clock", OK, fmt.Sprintf("synchronised, at most %d ms off", t.Maxerror/1000), "", "")
	}
}

const unsynchronised = "none turns; but times in the evidence are this machine's word only, and a device that checks dates may refuse what is genuine"

func (x *examination) disk() {
	var s unix.Statfs_t
	dir := existing(x.Dir)
	if err := unix.Statfs(dir, &s); err != nil {
		x.note("disk", Warning, dir+": "+err.Error(), "a run that cannot write its evidence ends", "choose another folder with --out")
		return
	}
	free := s.Bavail * uint64(s.Bsize) //nolint:gosec // a block's size is positive
	says := fmt.Sprintf("%d MiB free in %s", free>>20, dir)
	const mend = "free some, or choose another folder with --out"
	switch {
	case unix.Access(dir, unix.W_OK) != nil:
		x.note("disk", Problem, "this user may not write to "+dir, noBench, "choose another folder with --out")
	case free < diskLeast:
		x.note("disk", Problem, says, "the evidence cannot be written to its end: what is left is inconclusive", mend)
	case free < diskSmall:
		x.note("disk", Warning, says, "a device that floods may fill it: the capture ends there and what follows is inconclusive", mend)
	default:
		x.note("disk", OK, says, "", "")
	}
}

// offered tells which DHCP server on an interface offers an address; empty: none. The offer is not taken.
func offered(ctx context.Context, name string) string {
	c, err := nclient4.New(name, nclient4.WithTimeout(dhcpPatience), nclient4.WithRetry(1))
	if err != nil {
		return ""
	}
	offer, err := c.DiscoverOffer(ctx)
	if err = errors.Join(err, c.Close()); err != nil || offer == nil {
		return ""
	}
	return offer.ServerIdentifier().String()
}
