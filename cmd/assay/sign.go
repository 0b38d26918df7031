package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/evidence"
	"assay/reports"
	"assay/reports/pdf"
)

// maxChain is how many certificates a chain may have, maxChainFile how long their file may be.
const (
	maxChain     = 10
	maxChainFile = 256 << 10
)

// signFlags are those of a report that is signed as a document.
type signFlags struct{ key, chain, tsa string }

func (f *signFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.key, "sign-key", "", "with --format pdf: sign the document under this private key: a PEM file, or NAME://ID")
	cmd.Flags().StringVar(&f.chain, "sign-cert", "", "with --sign-key: its certificate and those above it (PEM), its own first")
	cmd.Flags().StringVar(&f.tsa, "tsa", "", "with --sign-key: address of a time-stamp authority (RFC 3161) that is asked about the signature")
}

// signature reads what a document is signed with; nil where none is asked for.
func (f *signFlags) signature(ctx context.Context, format string) (*pdf.Signature, error) {
	switch {
	case f.key == "" && f.chain == "" && f.tsa == "":
		return nil, nil
	case f.key == "" || f.chain == "":
		return nil, unusable(errors.New("--sign-key and --sign-cert go together, and --tsa with them"), "a document is signed under a key, and its certificate says whose")
	case format != "pdf":
		return nil, unusable(fmt.Errorf("--sign-key signs a pdf, not %s", format), "choose it with --format pdf; the sealed file is signed already")
	}
	if err := (stampFlags{tsa: f.tsa}).check(); err != nil {
		return nil, err
	}
	key, err := evidence.OpenSigner(ctx, f.key, []byte(os.Getenv(passwordVariable)))
	if err != nil {
		return nil, unusable(err, "--sign-key takes a private key as PEM, or NAME://ID with a program sigstore-kms-NAME in PATH; the password of an encrypted key comes in "+passwordVariable)
	}
	chain, err := readChain(f.chain)
	if err != nil {
		return nil, unusable(err, "--sign-cert takes a file of certificates as PEM: the signer's first, then each one's authority")
	}
	s := &pdf.Signature{Above: chain[1:], Time: time.Now()}
	s.Signer.Certificate = chain[0]
	if s.Signer.Key, err = evidence.CryptoSigner(key); err != nil {
		return nil, unusable(err, "")
	}
	if f.tsa != "" {
		s.Stamp = func(signature []byte) ([]byte, error) {
			token, _, err := evidence.RequestToken(ctx, f.tsa, signature)
			return token, err
		}
	}
	if err := s.Check(); err != nil {
		return nil, unusable(fmt.Errorf("%s: %w", f.chain, err), "--sign-cert takes the certificate of the key in --sign-key first, then each one's authority")
	}
	return s, nil
}

// readChain reads certificates in PEM, whatever text stands between them.
func readChain(path string) ([]*x509.Certificate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the chain: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxChainFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the chain: %w", err)
	case len(b) > maxChainFile:
		return nil, fmt.Errorf("read the chain %s: more than %d bytes", path, maxChainFile)
	}
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("read the chain %s: a PEM block %.40q, want CERTIFICATE", path, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the chain %s: certificate %d: %w", path, len(chain)+1, err)
		}
		if chain = append(chain, c); len(chain) > maxChain {
			return nil, fmt.Errorf("read the chain %s: more than %d certificates", path, maxChain)
		}
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("read the chain %s: no certificate in PEM in it", path)
	}
	return chain, nil
}

// signed renders a document and signs it, before a file is opened for it.
func signed(r *reports.Report, s *pdf.Signature) ([]byte, error) {
	var b bytes.Buffer
	if err := pdf.Write(&b, r); err != nil {
		return nil, benchFailed(err, "")
	}
	document, err := pdf.Sign(b.Bytes(), *s)
	if err != nil {
		return nil, benchFailed(err, "nothing was written; is the key there, and the authority's address right and within reach?")
	}
	return document, nil
}
