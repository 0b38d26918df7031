package intercept

import (
	"crypto/tls"
	"crypto/x509"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// parsed reads a chain as a client gets it.
func parsed(t *testing.T, c *tls.Certificate) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for _, der := range c.Certificate {
		one, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		out = append(out, one)
	}
	return out
}

// strict is how a client should look at a chain.
func strict(p product, chain []*x509.Certificate) x509.VerifyOptions {
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: cloudName, CurrentTime: time.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	o.Roots.AddCert(p.issuer())
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	return o
}

// TestWrongInOneWay: each chain is refused, and believed by a client that forgives exactly the one thing which the
// scenario is named after and looks at everything else.
func TestWrongInOneWay(t *testing.T) {
	forgive := map[probes.Scenario]func(o *x509.VerifyOptions, chain []*x509.Certificate){
		probes.UnknownCA:  func(o *x509.VerifyOptions, chain []*x509.Certificate) { o.Roots.AddCert(chain[1]) },
		probes.SelfSigned: func(o *x509.VerifyOptions, chain []*x509.Certificate) { o.Roots.AddCert(chain[0]) },
		probes.WrongHost:  func(o *x509.VerifyOptions, _ []*x509.Certificate) { o.DNSName = WrongName },
		probes.Expired: func(o *x509.VerifyOptions, chain []*x509.Certificate) {
			o.CurrentTime = chain[0].NotAfter.Add(-time.Minute)
		},
		probes.NotYetValid: func(o *x509.VerifyOptions, chain []*x509.Certificate) {
			o.CurrentTime = chain[0].NotBefore.Add(time.Minute)
		},
		probes.WrongEKU: func(o *x509.VerifyOptions, _ []*x509.Certificate) {
			o.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		},
		// Whoever takes the certificate in between for a CA's.
		probes.NonCAIssuer:        func(_ *x509.VerifyOptions, chain []*x509.Certificate) { promote(chain[1]) },
		probes.NoBasicConstraints: func(_ *x509.VerifyOptions, chain []*x509.Certificate) { promote(chain[1]) },
	}
	says := map[probes.Scenario]string{
		probes.UnknownCA:          `certificate signed by unknown authority`,
		probes.SelfSigned:         `certificate signed by unknown authority`,
		probes.WrongHost:          `certificate is valid for another-cloud\.example\.net, not cloud\.product\.example`,
		probes.Expired:            `certificate has expired or is not yet valid: current time \S+ is after `,
		probes.NotYetValid:        `certificate has expired or is not yet valid: current time \S+ is before `,
		probes.WrongEKU:           `certificate specifies an incompatible key usage`,
		probes.NonCAIssuer:        `parent certificate cannot sign this kind of certificate|not authorized to sign`,
		probes.NoBasicConstraints: `parent certificate cannot sign this kind of certificate|not authorized to sign`,
	}
	for kind := range kinds {
		p := newProduct(t, kind, nil)
		for _, s := range probes.Scenarios {
			t.Run(kind+"/"+string(s), func(t *testing.T) {
				require.Zero(t, p.Lacks(probes.ViaMQTTS, s, time.Now()))
				made, err := p.Chain(s, time.Now())
				require.NoError(t, err)
				chain := parsed(t, made)
				o := strict(p, chain)
				_, err = chain[0].Verify(o)
				if forgive[s] == nil { // in order as a chain: the key or the version is what is wrong
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				assert.Regexp(t, says[s], err.Error())
				forgive[s](&o, chain)
				_, err = chain[0].Verify(o)
				assert.NoError(t, err, "nothing else is wrong with it")
			})
		}
		genuine, weak := p.Genuine.Leaf, chainOf(t, p, probes.WeakKey)
		assert.Equal(t, x509.RSA, weak.PublicKeyAlgorithm)
		assert.Equal(t, genuine.DNSNames[0], weak.DNSNames[0])
		assert.Equal(t, genuine.PublicKeyAlgorithm, chainOf(t, p, probes.SelfSigned).PublicKeyAlgorithm)
	}
}

// promote makes a CA of a parsed certificate; its signature is compared with its bytes, which stay.
func promote(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1 }

func chainOf(t *testing.T, p product, s probes.Scenario) *x509.Certificate {
	made, err := p.Chain(s, time.Now())
	require.NoError(t, err)
	return made.Leaf
}

// TestOpenSSLFindsOneError asks another implementation, which goes on after most errors and lists all.
func TestOpenSSLFindsOneError(t *testing.T) {
	openssl := needs(t, "openssl")
	says := map[probes.Scenario]string{
		probes.UnknownCA:          "self-signed certificate in certificate chain",
		probes.SelfSigned:         "self-signed certificate",
		probes.WrongHost:          "hostname mismatch",
		probes.Expired:            "certificate has expired",
		probes.NotYetValid:        "certificate is not yet valid",
		probes.WrongEKU:           "unsuitable certificate purpose",
		probes.NonCAIssuer:        "invalid CA certificate",
		probes.NoBasicConstraints: "invalid CA certificate",
		probes.WeakKey:            "EE certificate key too weak",
	}
	finding := regexp.MustCompile(`(?m)^error \d+ at \d+ depth lookup: (.*)$`)
	for kind := range kinds {
		p := newProduct(t, kind, nil)
		for _, s := range probes.Scenarios {
			t.Run(kind+"/"+string(s), func(t *testing.T) {
				made, err := p.Chain(s, time.Now())
				require.NoError(t, err)
				leaf, above := p.write(t, "leaf.pem", made.Certificate[0]), p.write(t, "above.pem", made.Certificate[1:]...)
				purpose := "sslserver"
				if s == probes.NonCAIssuer || s == probes.NoBasicConstraints {
					purpose = "any" // sslserver finds the same thing a second time, as a CA unfit for the purpose
				}
				args := []string{"verify", "-CAfile", p.root, "-purpose", purpose, "-verify_hostname", cloudName, "-auth_level", "2"}
				if len(made.Certificate) > 1 {
					args = append(args, "-untrusted", above)
				}
				out, err := exec.CommandContext(t.Context(), openssl, append(args, leaf)...).CombinedOutput()
				found := finding.FindAllStringSubmatch(string(out), -1)
				if says[s] == "" {
					require.NoError(t, err, string(out))
					require.Empty(t, found)
					return
				}
				require.Error(t, err, string(out))
				require.Len(t, found, 1, string(out))
				assert.Equal(t, says[s], found[0][1])
			})
		}
	}
}

func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip("needs Debian's " + program)
	}
	return path
}

// TestLacks: what a chain would be worth is settled before a run.
func TestLacks(t *testing.T) {
	now := time.Now()
	under := []probes.Scenario{
		probes.WrongHost, probes.Expired, probes.NotYetValid, probes.WrongEKU, probes.NonCAIssuer, probes.NoBasicConstraints, probes.WeakKey,
	}
	all := func(why string) map[probes.Scenario]string {
		out := map[probes.Scenario]string{}
		for _, s := range under {
			out[s] = why
		}
		return out
	}
	stranger := newProduct(t, "ecdsa", nil).Issuer
	for name, c := range map[string]struct {
		cloud func() Cloud
		want  map[probes.Scenario]string
	}{
		"whole": {func() Cloud { return newProduct(t, "ecdsa", nil).Cloud }, nil},
		"no issuer": {func() Cloud {
			c := newProduct(t, "ecdsa", nil).Cloud
			c.Issuer = nil
			return c
		}, all("must be issued by the product's CA, and the dossier does not give its key")},
		"another issuer": {func() Cloud {
			c := newProduct(t, "ecdsa", nil).Cloud
			c.Issuer = stranger
			return c
		}, all("did not issue cloud.certificate")},
		"not a CA": {func() Cloud {
			c := newProduct(t, "ecdsa", nil).Cloud
			c.Issuer = c.Genuine
			return c
		}, all("is not a CA's")},
		"ended": {func() Cloud {
			return newProduct(t, "ecdsa", func(r *x509.Certificate) { r.NotAfter = now.Add(-time.Hour) }).Cloud
		}, all("is not valid now")},
		"young": {func() Cloud {
			return newProduct(t, "ecdsa", func(r *x509.Certificate) { r.NotBefore = now.Add(-day) }).Cloud
		}, map[probes.Scenario]string{probes.Expired: "is so young"}},
		"ending": {func() Cloud {
			return newProduct(t, "ecdsa", func(r *x509.Certificate) { r.NotAfter = now.Add(day) }).Cloud
		}, map[probes.Scenario]string{probes.NotYetValid: "ends so soon"}},
		"no CA below": {func() Cloud {
			return newProduct(t, "ecdsa", func(r *x509.Certificate) { r.MaxPathLenZero = true }).Cloud
		}, map[probes.Scenario]string{probes.NonCAIssuer: "pathLenConstraint 0", probes.NoBasicConstraints: "pathLenConstraint 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := c.cloud()
			for _, s := range probes.Scenarios {
				why := cloud.Lacks(probes.ViaMQTTS, s, now)
				assert.Equal(t, why.Because == "", why.Mend == "", "a reason has its mend")
				if c.want[s] == "" {
					assert.Empty(t, why.Because, string(s))
				} else {
					assert.Contains(t, why.Because, c.want[s], string(s))
				}
			}
		})
	}
	assert.Contains(t, Cloud{}.Lacks(probes.ViaMQTTS, probes.Genuine, now).Because, "no certificate and key")
	whole := newProduct(t, "ecdsa", nil)
	assert.Contains(t, whole.Lacks(probes.ViaCoAPS, probes.OldVersion, now).Because, "DTLS 1.2 only")
	assert.Contains(t, whole.Lacks(probes.ViaMQTTS, "no-such", now).Because, "no such scenario")
}

// TestYoungIssuer: the dates of an impostor lie in those of a CA that is not much older than the test.
func TestYoungIssuer(t *testing.T) {
	now := time.Now()
	p := newProduct(t, "ecdsa", func(r *x509.Certificate) { r.NotBefore, r.NotAfter = now.Add(-10*day), now.Add(10*day) })
	for _, s := range []probes.Scenario{probes.Expired, probes.NotYetValid} {
		leaf := chainOf(t, p, s)
		assert.False(t, leaf.NotBefore.Before(p.issuer().NotBefore), "%s begins %v", s, leaf.NotBefore)
		assert.False(t, leaf.NotAfter.After(p.issuer().NotAfter), "%s ends %v", s, leaf.NotAfter)
		assert.Greater(t, leaf.NotAfter.Sub(leaf.NotBefore), day)
	}
	assert.True(t, chainOf(t, p, probes.Expired).NotAfter.Before(now.Add(-day)))
	assert.True(t, chainOf(t, p, probes.NotYetValid).NotBefore.After(now.Add(day)))
}
