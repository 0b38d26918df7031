package segment

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// What a rule that forwards is made of (linux/netfilter/nf_tables.h). The nftables library has no such expression, and
// a copy with a drop behind it will not do: whoever sent the frame would be told that it was not sent.
const (
	nftFwdDevice = 1 // NFTA_FWD_SREG_DEV
)

// forwards adds a rule to the end of a chain that puts every frame on another interface. The chain is there already.
func forwards(t *nftables.Table, chain string, on int) error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	message, err := forwardRule(t, chain, on)
	if err == nil {
		err = commit(c, message)
	}
	return errors.Join(err, c.Close())
}

func forwardRule(t *nftables.Table, chain string, on int) (netlink.Message, error) {
	text := func(s string) []byte { return append([]byte(s), 0) }
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	e.Bytes(unix.NFTA_RULE_TABLE, text(t.Name))
	e.Bytes(unix.NFTA_RULE_CHAIN, text(chain))
	expression := func(list *netlink.AttributeEncoder, name string, data func(*netlink.AttributeEncoder) error) {
		list.Nested(unix.NFTA_LIST_ELEM, func(one *netlink.AttributeEncoder) error {
			one.Bytes(unix.NFTA_EXPR_NAME, text(name))
			one.Nested(unix.NFTA_EXPR_DATA, data)
			return nil
		})
	}
	e.Nested(unix.NFTA_RULE_EXPRESSIONS, func(list *netlink.AttributeEncoder) error {
		expression(list, "immediate", func(i *netlink.AttributeEncoder) error {
			i.Uint32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_1)
			i.Nested(unix.NFTA_IMMEDIATE_DATA, func(v *netlink.AttributeEncoder) error {
				v.Bytes(unix.NFTA_DATA_VALUE, binaryutil.NativeEndian.PutUint32(uint32(on))) //nolint:gosec // an index
				return nil
			})
			return nil
		})
		expression(list, "fwd", func(f *netlink.AttributeEncoder) error {
			f.Uint32(nftFwdDevice, unix.NFT_REG_1)
			return nil
		})
		return nil
	})
	attributes, err := e.Encode()
	return netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWRULE, Flags: netlink.Request | netlink.Acknowledge | netlink.Create | netlink.Append},
		Data:   append([]byte{byte(t.Family), unix.NFNETLINK_V0, 0, 0}, attributes...),
	}, err
}

// commit sends a transaction of one message.
func commit(c *netlink.Conn, message netlink.Message) error {
	border := func(kind netlink.HeaderType) netlink.Message {
		return netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request}, Data: []byte{0, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}}
	}
	if _, err := c.SendMessages([]netlink.Message{border(unix.NFNL_MSG_BATCH_BEGIN), message, border(unix.NFNL_MSG_BATCH_END)}); err != nil {
		return fmt.Errorf("nftables: send a rule: %w", err)
	}
	if _, err := c.Receive(); err != nil {
		return fmt.Errorf("nftables: add a rule that forwards: %w", err)
	}
	return nil
}

// haveForward tries such a rule in a chain that no frame comes through.
func haveForward() error {
	c, err := nftables.New()
	if err != nil {
		return refused("nftables", err)
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "assay_trial"})
	c.AddChain(&nftables.Chain{Name: "trial", Table: t})
	if err := c.Flush(); err != nil {
		return refused("nftables", err)
	}
	err = forwards(t, "trial", 1) // loopback, which every namespace has
	c.DelTable(t)
	return refused("nftables", errors.Join(err, c.Flush()))
}
