package refdevice

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

const insideLease = "ASSAY_TEST_LEASE"

// The test runs itself again where it has a network of its own.
func TestLease(t *testing.T) {
	if os.Getenv(insideLease) != "" {
		testLease(t)
		return
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^TestLease$", "-test.v")
	cmd.Env = append(os.Environ(), insideLease+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("needs user namespaces: %v", err)
	}
	require.NoError(t, err, "%s", out)
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// testLease leases, renews and loses an address on a pair of interfaces.
func testLease(t *testing.T) {
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "bench0"}
	pair.Name = "eth0"
	if err := netlink.LinkAdd(pair); err != nil {
		t.Skipf("needs to make interfaces in a user namespace: %v", err)
	}
	bench, err := netlink.LinkByName("bench0")
	require.NoError(t, err)
	require.NoError(t, netlink.AddrAdd(bench, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}}))
	require.NoError(t, netlink.LinkSetUp(bench))
	server := serveDHCP(t)

	log := newLog(io.Discard)
	up, err := lease(t.Context(), "eth0", pair.HardwareAddr.String(), "kitchen", log)
	require.NoError(t, err)
	require.Equal(t, "192.0.2.100", up.address)
	require.Equal(t, "192.0.2.1:53", up.resolver.server.String())
	require.Equal(t, "192.0.2.1:123", up.ntp)
	require.Equal(t, "kitchen", server.host())
	routes, err := netlink.RouteList(pair, netlink.FAMILY_V4)
	require.NoError(t, err)
	require.Len(t, routes, 2, "the segment and the default route")

	begin := time.Now()
	held := make(chan error, 1)
	go func() { held <- up.hold(t.Context()) }()
	require.Eventually(t, func() bool { return server.requests() >= 2 }, patience, 10*time.Millisecond, "renewed")
	server.hush()
	require.ErrorContains(t, <-held, "the lease ran out")
	require.Less(t, time.Since(begin), patience)
	up.leave()
	addrs, err := netlink.AddrList(pair, netlink.FAMILY_V4)
	require.NoError(t, err)
	require.Empty(t, addrs)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = lease(ctx, "eth0", pair.HardwareAddr.String(), "kitchen", log)
	require.ErrorIs(t, err, context.DeadlineExceeded, "without a server it asks until it is told to stop")
	_, err = lease(t.Context(), "eth7", "", "kitchen", log)
	require.ErrorContains(t, err, "lease an address on eth7")
}

// A dhcpServer leases one address for two seconds.
type dhcpServer struct {
	mu    sync.Mutex
	name  string
	count int
	quiet bool
}

func (s *dhcpServer) host() string  { s.mu.Lock(); defer s.mu.Unlock(); return s.name }
func (s *dhcpServer) requests() int { s.mu.Lock(); defer s.mu.Unlock(); return s.count }
func (s *dhcpServer) hush()         { s.mu.Lock(); defer s.mu.Unlock(); s.quiet = true }

func serveDHCP(t *testing.T) *dhcpServer {
	s := &dhcpServer{}
	server, err := server4.NewServer("bench0", nil, func(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.quiet {
			return
		}
		kind := dhcpv4.MessageTypeOffer
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			kind, s.name = dhcpv4.MessageTypeAck, m.HostName()
			s.count++
		}
		self := net.IPv4(192, 0, 2, 1)
		reply, err := dhcpv4.NewReplyFromRequest(m,
			dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 100)), dhcpv4.WithServerIP(self),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(self)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
			dhcpv4.WithRouter(self), dhcpv4.WithDNS(self), dhcpv4.WithOption(dhcpv4.OptNTPServers(self)), dhcpv4.WithLeaseTime(2))
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68})
	})
	require.NoError(t, err)
	go func() { _ = server.Serve() }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}
