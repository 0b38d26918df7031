package firmware_test

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/sigstore"
)

func sigstoreVectors() adapter {
	return adapter{trust: sigstoreTrust, generate: generateSigstore}
}

type sigstoreContext struct {
	RequireTlog *bool `yaml:"require_tlog"`
}

// The signer of sigstore-conformance, whose README says where a row has another.
const (
	conformanceSigner = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	conformanceIssuer = "https://token.actions.githubusercontent.com"
)

// sigstoreTrust follows that README: files beside the bundle name key, signer and issuer. A
// row without a trusted root is about a key alone, unless it says that a log is asked for.
func sigstoreTrust(t *testing.T, c vectorCase) firmware.Trust {
	var x sigstoreContext
	c.context(t, &x)
	beside := func(name, otherwise string) string {
		if b, err := os.ReadFile(c.path(path.Join(path.Dir(c.File), name))); err == nil {
			return strings.TrimSpace(string(b))
		}
		return otherwise
	}
	var trust firmware.Trust
	key := beside("key.pub", "")
	if c.Key != "" {
		key = string(c.bytes(t, c.Key))
	}
	if key != "" {
		read, err := firmware.ParseTrust(firmware.Anchor{From: "key.pub", Bytes: []byte(key)})
		if err != nil {
			t.Logf("the key trusts nobody: %v", err)
		}
		trust = read
	} else {
		trust.Signer, trust.Issuer = beside("identity", conformanceSigner), beside("issuer", conformanceIssuer)
	}
	if c.TrustedRoot != "" {
		root, err := firmware.ParseTrust(firmware.Anchor{From: c.TrustedRoot, Bytes: c.bytes(t, c.TrustedRoot)})
		require.NoError(t, err)
		trust.Own = root.Own
	}
	trust.NoLog = c.TrustedRoot == "" && (x.RequireTlog == nil || !*x.RequireTlog)
	return trust
}

// generateSigstore makes bundles of every kind of key, with and without a log, and keyless
// ones, each with every variant that can be made of it.
func generateSigstore(t *testing.T, dir string) manifest {
	g := &generated{t: t, format: "sigstore", dir: dir}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	authority, err := sigstore.NewAuthority(at)
	require.NoError(t, err)
	artifact := []byte("the program")
	write := func(name string, b []byte, err error) {
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	write("firmware.bin", artifact, nil)
	g.rows = append(g.rows, row{File: "firmware.bin", Format: "sigstore", Verdict: "n/a", Scope: "signature"})
	root, err := authority.TrustedRoot()
	write("trusted_root.json", root, err)
	add := func(name string, r row, spec sigstore.Spec) {
		r.Artifact, r.Scope, r.File, r.Verdict, spec.Artifact = "firmware.bin", "signature", name+".json", "accept", artifact
		b, err := sigstore.Build(spec)
		require.NoError(t, err)
		g.add(r, b)
		in := firmware.FromBytes(b)
		source := firmware.FromBytes(artifact).Source
		in.Artifact = &source
		for _, variant := range sigstore.Format().Variants {
			bad, err := firmware.Tamper(in, variant, firmware.Means{})
			if errors.Is(err, firmware.ErrNotApplicable) {
				continue
			}
			require.NoError(t, err)
			r.File, r.Verdict, r.Artifact = name+"-"+variant+".json", "reject", name+"-"+variant+".bin"
			changed, ok := bad.Files[firmware.FileArtifact]
			if !ok {
				changed = bad.Files[firmware.FileSecond]
			}
			write(r.Artifact, changed, nil)
			g.add(r, bad.Files[firmware.FileSignature])
		}
	}
	for kind, key := range signers(t) {
		write(kind+".pem", publicPEM(t, key.Public()), nil)
		r := row{Key: kind + ".pem", Context: node(t, sigstoreContext{RequireTlog: new(false)})}
		add(kind, r, sigstore.Spec{Signer: key})
		add(kind+"-statement", r, sigstore.Spec{Signer: key, Predicate: "https://slsa.dev/provenance/v1"})
	}
	keyless := sigstore.Spec{Authority: authority, Identity: conformanceSigner, Issuer: conformanceIssuer}
	add("keyless", row{TrustedRoot: "trusted_root.json"}, keyless)
	keyless.Predicate = "https://slsa.dev/provenance/v1"
	add("keyless-statement", row{TrustedRoot: "trusted_root.json"}, keyless)
	return manifest{Vectors: g.rows}
}
