package detached

import (
	"bytes"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func armoured(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := armor.Encode(&out, openpgp.SignatureType, map[string]string{"Comment": "nobody signed this"})
	require.NoError(t, err)
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestOpenPGPKeys(t *testing.T) {
	eddsa := packet.Config{Algorithm: packet.PubKeyAlgoEdDSA}
	lifetime := eddsa
	lifetime.KeyLifetimeSecs = 3600
	small := packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024}
	fw := firmwareOf('k')
	for name, c := range map[string]struct {
		config packet.Config
		entity func(e *openpgp.Entity)
		spec   func(s *OpenPGP)
		at     time.Time
		want   error
	}{
		"good":                     {config: eddsa},
		"good sha512":              {config: eddsa, spec: func(s *OpenPGP) { s.Hash = crypto.SHA512 }},
		"no time given":            {config: eddsa, at: time.Unix(0, 0), want: format.ErrValidity},
		"key expired":              {config: lifetime, want: format.ErrValidity},
		"key not yet made":         {config: eddsa, at: now.Add(-time.Hour), want: format.ErrValidity},
		"signature of the future":  {config: eddsa, spec: func(s *OpenPGP) { s.Created += 7 * 24 * 3600 }, want: format.ErrValidity},
		"sha1":                     {config: eddsa, spec: func(s *OpenPGP) { s.Hash = crypto.SHA1 }, want: format.ErrWeak},
		"text":                     {config: eddsa, spec: func(s *OpenPGP) { s.Type = 1 }, want: format.ErrNotBound},
		"certification type":       {config: eddsa, spec: func(s *OpenPGP) { s.Type = 0x10 }, want: format.ErrNotBound},
		"rsa-1024":                 {config: small, want: format.ErrWeak},
		"other key":                {config: eddsa, spec: func(s *OpenPGP) { s.KeyID++ }, want: format.ErrNoTrustedKey},
		"algorithm of another key": {config: eddsa, spec: func(s *OpenPGP) { s.Algorithm = pgpEd25519 }, want: format.ErrBadSignature},
		"revoked": {config: eddsa, want: format.ErrRevoked, entity: func(e *openpgp.Entity) {
			require.NoError(t, e.RevokeKey(packet.KeyCompromised, "lost", &packet.Config{Time: func() time.Time { return now }}))
		}},
		"not for signing": {config: eddsa, want: format.ErrPurpose, entity: func(e *openpgp.Entity) {
			for _, id := range e.Identities {
				id.SelfSignature.FlagSign = false
				require.NoError(t, id.SelfSignature.SignUserId(id.UserId.Id, e.PrimaryKey, e.PrivateKey, &packet.Config{Time: func() time.Time { return now }}))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e := entity(t, c.config)
			if c.entity != nil {
				c.entity(e)
			}
			spec := pgpSpec(e, signerOf(t, e))
			if c.spec != nil {
				c.spec(&spec)
			}
			b, err := SignOpenPGP(spec, fw)
			require.NoError(t, err)
			p := pair{signature: b, artifact: fw, trust: ring(t, e)}
			if !c.at.IsZero() {
				p.trust.At = c.at
			}
			for _, sig := range [][]byte{b, armoured(t, b)} {
				p.signature = sig
				r, _, err := p.verify()
				require.ErrorIs(t, err, c.want)
				assert.Equal(t, c.want == nil, r.Verified)
				assert.Equal(t, "openpgp", r.Image.Format)
				if c.want == format.ErrWeak {
					assert.NotEmpty(t, r.Findings)
				}
			}
		})
	}
}

func TestOpenPGPSubkey(t *testing.T) {
	config := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return now }}
	e := entity(t, *config)
	require.NoError(t, e.AddSigningSubkey(config))
	sub := e.Subkeys[len(e.Subkeys)-1]
	primary := *e
	primary.PrivateKey = sub.PrivateKey
	key := signerOf(t, &primary)
	fw := firmwareOf('k')
	spec := pgpSpec(e, key)
	spec.KeyID, spec.Fingerprint = sub.PublicKey.KeyId, sub.PublicKey.Fingerprint
	b, err := SignOpenPGP(spec, fw)
	require.NoError(t, err)
	p := pair{signature: b, artifact: fw, trust: ring(t, e)}
	r, _, err := p.verify()
	require.NoError(t, err)
	require.Len(t, r.Chain, 4)
	assert.Equal(t, "certify", r.Chain[0].Purpose)
	require.NoError(t, e.RevokeSubkey(&e.Subkeys[len(e.Subkeys)-1], packet.KeyCompromised, "", config))
	p.trust = ring(t, e)
	_, _, err = p.verify()
	require.ErrorIs(t, err, format.ErrRevoked)
}

func TestOpenPGPStructure(t *testing.T) {
	e := entity(t, packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	fw := firmwareOf('k')
	b, err := SignOpenPGP(pgpSpec(e, signerOf(t, e)), fw)
	require.NoError(t, err)
	text := string(armoured(t, b))
	newForm := append([]byte{0xc2, byte(len(b) - 3)}, b[3:]...)
	for name, c := range map[string]struct {
		sig  []byte
		want error
	}{
		"old packet form":      {b, nil},
		"new packet form":      {newForm, nil},
		"two signatures":       {append(bytes.Clone(b), b...), format.ErrTrailing},
		"a byte behind":        {append(bytes.Clone(b), 0), format.ErrTrailing},
		"two armors":           {[]byte(text + text), format.ErrMalformed},
		"text behind":          {[]byte(text + "more"), format.ErrMalformed},
		"blanks around":        {[]byte("\n" + text + " \n"), nil},
		"armored bad base64":   {[]byte(strings.Replace(text, "\n\n", "\n\n!", 1)), format.ErrMalformed},
		"armored nothing":      {[]byte(armourBegin + "\n\n" + armourEnd), format.ErrMalformed},
		"indeterminate":        {append([]byte{0x8b}, b[3:]...), nil}, // not OpenPGP at all: raw
		"partial length":       {append([]byte{0xc2, 0xe6}, b[3:]...), nil},
		"version 3":            {append(bytes.Clone(b[:3]), append([]byte{3, 5}, b[5:]...)...), format.ErrMalformed},
		"no issuer":            {noIssuer(t, e, fw), format.ErrMalformed},
		"left bytes of digest": {flipAt(b, len(b)-69), nil},
	} {
		_, img, err := pair{signature: c.sig, artifact: fw, trust: ring(t, e)}.verify()
		switch name {
		case "indeterminate", "partial length":
			require.Equal(t, "raw", img.name, name)
			require.Error(t, err)
		case "left bytes of digest":
			require.Error(t, err)
		default:
			require.ErrorIs(t, err, c.want, name)
		}
	}
	_, err = readKeyRing([]byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\n"))
	require.ErrorIs(t, err, errPrivate)
	var secret bytes.Buffer
	require.NoError(t, e.SerializePrivate(&secret, nil))
	_, err = readKeyRing(secret.Bytes())
	require.Error(t, err)
}

func flipAt(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// noIssuer is a signature whose subpackets name no key.
func noIssuer(t *testing.T, e *openpgp.Entity, fw []byte) []byte {
	spec := pgpSpec(e, signerOf(t, e))
	spec.Fingerprint = nil
	b, err := SignOpenPGP(spec, fw)
	require.NoError(t, err)
	i := bytes.Index(b, []byte{0, 10, 9, subpacketIssuer})
	require.Positive(t, i)
	b[i+3] = 100 // a private type
	return b
}
