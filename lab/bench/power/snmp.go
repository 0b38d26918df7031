package power

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/gosnmp/gosnmp"
)

func authProtocols() map[string]gosnmp.SnmpV3AuthProtocol {
	return map[string]gosnmp.SnmpV3AuthProtocol{
		"": gosnmp.SHA256, "sha": gosnmp.SHA, "sha256": gosnmp.SHA256, "sha384": gosnmp.SHA384, "sha512": gosnmp.SHA512,
	}
}

func privProtocols() map[string]gosnmp.SnmpV3PrivProtocol {
	return map[string]gosnmp.SnmpV3PrivProtocol{"": gosnmp.AES, "aes": gosnmp.AES, "aes256": gosnmp.AES256}
}

func (s *SNMP) target() (string, uint16, error) {
	host, text, err := net.SplitHostPort(withPort(s.Address, "161"))
	if err != nil {
		return "", 0, errors.New("want HOST or HOST:PORT")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || host == "" {
		return "", 0, errors.New("want HOST or HOST:PORT")
	}
	return host, uint16(port), nil
}

// outlet is one integer object of a unit: each value that is not on or off is neither.
type outlet struct {
	address string
	host    string
	port    uint16
	oid     string
	readOID string
	on, off int

	community string
	user      *gosnmp.UsmSecurityParameters
}

func (s *SNMP) open(dir string) (Switch, error) {
	o := outlet{address: s.Address, oid: s.OID, readOID: s.ReadOID, on: *s.On, off: *s.Off}
	if o.readOID == "" {
		o.readOID = o.oid
	}
	var err error
	if o.host, o.port, err = s.target(); err != nil {
		return nil, err
	}
	if s.User == nil {
		if o.community, err = s.Community.Reveal(dir); err != nil {
			return nil, fmt.Errorf("read the community: %w", err)
		}
		return o, nil
	}
	u := s.User
	auth, err := u.AuthKey.Reveal(dir)
	if err != nil {
		return nil, fmt.Errorf("read the user's auth_key: %w", err)
	}
	private, err := u.PrivKey.Reveal(dir)
	if err != nil {
		return nil, fmt.Errorf("read the user's priv_key: %w", err)
	}
	if len(auth) < 8 || len(private) < 8 {
		return nil, errors.New("keys of SNMP version 3 have at least 8 characters (RFC 3414, 11.2)")
	}
	o.user = &gosnmp.UsmSecurityParameters{
		UserName: u.Name, AuthenticationProtocol: authProtocols()[u.Auth], AuthenticationPassphrase: auth,
		PrivacyProtocol: privProtocols()[u.Priv], PrivacyPassphrase: private,
	}
	return o, nil
}

// String says where it is.
func (o outlet) String() string { return "the outlet " + o.oid + " of " + o.address }

// Set writes the integer. Many units answer before the relay has moved: the state is read afterwards.
func (o outlet) Set(ctx context.Context, on bool) error {
	value := o.off
	if on {
		value = o.on
	}
	return o.talk(ctx, func(g *gosnmp.GoSNMP) error {
		answer, err := g.Set([]gosnmp.SnmpPDU{{Name: o.oid, Type: gosnmp.Integer, Value: value}})
		if err != nil {
			return fmt.Errorf("set: %w", err)
		}
		if answer.Error != gosnmp.NoError {
			return fmt.Errorf("set: the unit answers %v", answer.Error)
		}
		return nil
	})
}

// State reads the integer back.
func (o outlet) State(ctx context.Context) (on bool, err error) {
	err = o.talk(ctx, func(g *gosnmp.GoSNMP) error {
		answer, err := g.Get([]string{o.readOID})
		switch {
		case err != nil:
			return fmt.Errorf("get: %w", err)
		case answer.Error != gosnmp.NoError:
			return fmt.Errorf("get: the unit answers %v", answer.Error)
		case len(answer.Variables) != 1:
			return fmt.Errorf("get: %d values came back, want 1", len(answer.Variables))
		}
		v := answer.Variables[0]
		is, ok := v.Value.(int)
		if v.Type != gosnmp.Integer || !ok {
			return fmt.Errorf("get: %s is %v, not an integer", o.readOID, v.Type)
		}
		switch is {
		case o.on:
			on = true
		case o.off:
		default:
			return fmt.Errorf("it is %d, which is neither on (%d) nor off (%d)", is, o.on, o.off)
		}
		return nil
	})
	return on, err
}

// talk opens a socket for one exchange.
func (o outlet) talk(ctx context.Context, exchange func(*gosnmp.GoSNMP) error) error {
	g := &gosnmp.GoSNMP{
		Target: o.host, Port: o.port, Transport: "udp", Context: ctx, Timeout: 2 * time.Second, Retries: 2,
		Version: gosnmp.Version2c, Community: o.community, MaxOids: 1,
	}
	if o.user != nil {
		g.Version, g.SecurityModel, g.MsgFlags = gosnmp.Version3, gosnmp.UserSecurityModel, gosnmp.AuthPriv
		g.SecurityParameters = o.user.Copy()
	}
	if err := g.Connect(); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = g.Conn.Close() }()
	return exchange(g)
}
