package authenticode

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

var maker = sync.OnceValue(func() *cms.PKI {
	pki, err := cms.NewPKI(cms.PKIOptions{Kind: "rsa-2048"}) // what firmware and osslsigncode know best
	if err != nil {
		panic(err)
	}
	return pki
})

func trust() format.Trust {
	return format.Trust{At: maker().At, Roots: []format.Root{{Certificate: maker().Root.Certificate, From: "root.pem"}}}
}

func means(t testing.TB) format.Means {
	older := format.FromBytes(good(t, Spec{Payload: []byte("older")}))
	return format.Means{Signer: maker().Signer.Key, Chain: maker().Chain(), Issuer: maker().Issuer().Key, Older: &older}
}

func spec() Spec {
	return Spec{Payload: bytes.Repeat([]byte("code"), 300), SBAT: "sbat,1,SBAT Version,sbat,1,url\nmaker.boot,4,Maker,boot,1.2,url\n", Timestamp: 1780000000}
}

func good(t testing.TB, s Spec) []byte {
	b, err := Build(s)
	require.NoError(t, err)
	b, err = Sign(b, maker().Signer, nil)
	require.NoError(t, err)
	return b
}

func verify(b []byte, trust format.Trust) (format.Report, *Image, error) {
	i, err := Format().OpenUnverified(format.Input{Source: format.FromBytes(b)})
	if err != nil {
		return format.Report{}, nil, err
	}
	r, err := i.Verify(trust)
	return r, i.(*Image), err
}
