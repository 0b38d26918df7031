package probetest

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"sync"
)

// weakKey makes RSA with the exponent 3 once: two primes of which neither minus one is a multiple of 3.
var weakKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	three := big.NewInt(3)
	for range 64 {
		p, err := rand.Prime(rand.Reader, 1536)
		if err != nil {
			return nil, err
		}
		q, err := rand.Prime(rand.Reader, 1536)
		if err != nil {
			return nil, err
		}
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(three, phi)
		n := new(big.Int).Mul(p, q)
		if d == nil || n.BitLen() != 3072 {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 3}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		return key, key.Validate()
	}
	return nil, fmt.Errorf("make RSA with exponent 3: %w", errors.New("no pair of primes would do"))
})
