package intercept

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"assay/probes"
)

// A Lack is why something cannot be presented, and what would change that. The zero one: it can.
type Lack struct{ Because, Mend string }

const mendIssuer = "give `cloud.issuer` with certificate and key of the test CA that issued cloud.certificate"

// Lacks tells before a run whether a scenario can be presented at a way in.
func (c Cloud) Lacks(via string, s probes.Scenario, now time.Time) Lack {
	if c.Genuine == nil {
		return Lack{"the dossier gives no certificate and key of the device's cloud", "give `cloud` with hosts, certificate and key"}
	}
	switch s {
	case probes.Genuine, probes.PassThrough, probes.UnknownCA, probes.SelfSigned:
		return Lack{}
	case probes.OldVersion:
		if via == probes.ViaCoAPS {
			return Lack{"the bench speaks DTLS 1.2 only", "ask with another tool whether the device takes DTLS 1.0"}
		}
		return Lack{}
	case probes.WrongHost, probes.Expired, probes.NotYetValid, probes.WrongEKU, probes.WeakKey, probes.NonCAIssuer, probes.NoBasicConstraints:
	default:
		return Lack{"there is no such scenario", "`assay probes` lists them"}
	}
	if c.Issuer == nil {
		return Lack{"a certificate that is wrong in this way alone must be issued by the product's CA, and the dossier does not give its key", mendIssuer}
	}
	if why := c.untrusted(now); why != "" {
		return Lack{why, mendIssuer}
	}
	switch s {
	case probes.Expired:
		if _, _, ok := expired(c.issuer(), now); !ok {
			return Lack{"the CA in cloud.issuer is so young that a certificate which has expired would be older than it", "make a test CA that is valid since a year or longer"}
		}
	case probes.NotYetValid:
		if _, _, ok := notYet(c.issuer(), now); !ok {
			return Lack{"the CA in cloud.issuer ends so soon that a certificate which is valid later would outlive it", "make a test CA that is valid for another year or longer"}
		}
	case probes.NonCAIssuer, probes.NoBasicConstraints:
		if i := c.issuer(); i.MaxPathLen == 0 && i.MaxPathLenZero {
			return Lack{
				"the CA in cloud.issuer allows no CA below it (pathLenConstraint 0), so that such a chain would be wrong in two ways",
				"make a test CA without pathLenConstraint",
			}
		}
	}
	return Lack{}
}

// untrusted tells why the issuer's certificates would show nothing: a device that refuses them need not
// have looked at what is wrong with them.
func (c Cloud) untrusted(now time.Time) string {
	i := c.issuer()
	switch {
	case !i.IsCA || !i.BasicConstraintsValid || i.KeyUsage != 0 && i.KeyUsage&x509.KeyUsageCertSign == 0:
		return "the certificate in cloud.issuer is not a CA's"
	case now.Before(i.NotBefore) || now.After(i.NotAfter):
		return "the CA in cloud.issuer is not valid now"
	case !bytes.Equal(c.Genuine.Leaf.RawIssuer, i.RawSubject) || c.Genuine.Leaf.CheckSignatureFrom(i) != nil:
		return "the CA in cloud.issuer did not issue cloud.certificate: whether the device trusts it is not known"
	}
	return ""
}

// Pair reads a chain and its key, with the first certificate parsed. The library's errors quote nothing of the key.
func Pair(chain, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, err
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
	}
	return &pair, nil
}
