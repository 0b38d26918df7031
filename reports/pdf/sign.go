package pdf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"assay/firmware/cms"
)

// ErrSigner says that nobody would take a signature by that key and certificate.
var ErrSigner = errors.New("no signer of documents")

// A Signature is with what a document is signed.
type Signature struct {
	Signer cms.Identity
	Above  []*x509.Certificate // the certificates above the signer's, the next one first; perhaps with the root
	Time   time.Time           // what the signer claims

	// Stamp is asked for an RFC 3161 token (DER) over the signature, which makes it PAdES baseline B-T; nil: nobody.
	Stamp func(signature []byte) (token []byte, err error)
}

// Room for what is not known before it is signed: attributes and signature, and an authority's token with its certificates.
const (
	roomSignature = 4 << 10
	roomToken     = 16 << 10
)

// oidDocuments is the extended key usage of RFC 9336.
var oidDocuments = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36}

// Check refuses a signer whom no reader would believe, before anything is signed.
func (s Signature) Check() error {
	c := s.Signer.Certificate
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return fmt.Errorf("the signer's RSA key has %d bits, want 2048: %w", key.N.BitLen(), ErrSigner)
		}
		if own, ok := s.Signer.Key.Public().(*rsa.PublicKey); !ok || !own.Equal(key) {
			return fmt.Errorf("the key is not that of the first certificate (%s): %w", c.Subject, ErrSigner)
		}
	case *ecdsa.PublicKey:
		if own, ok := s.Signer.Key.Public().(*ecdsa.PublicKey); !ok || !own.Equal(key) {
			return fmt.Errorf("the key is not that of the first certificate (%s): %w", c.Subject, ErrSigner)
		}
	default:
		return fmt.Errorf("the signer's key is of kind %s, which readers of documents do not check; want RSA or ECDSA: %w", c.PublicKeyAlgorithm, ErrSigner)
	}
	const signs = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	switch {
	case c.IsCA:
		return fmt.Errorf("the first certificate (%s) is an authority's, want the signer's: %w", c.Subject, ErrSigner)
	case c.KeyUsage != 0 && c.KeyUsage&signs == 0:
		return fmt.Errorf("the signer's certificate is not for signatures (key usage): %w", ErrSigner)
	case !forDocuments(c):
		return fmt.Errorf("the signer's certificate is not for documents, e-mail or code (extended key usage): %w", ErrSigner)
	case s.Time.Before(c.NotBefore) || s.Time.After(c.NotAfter):
		return fmt.Errorf("the signer's certificate is good from %s to %s, and it is %s now: %w",
			c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), s.Time.UTC().Format(time.RFC3339), ErrSigner)
	}
	below := c
	for i, above := range s.Above {
		if err := below.CheckSignatureFrom(above); err != nil {
			return fmt.Errorf("certificate %d of the chain (%s) did not sign the one before it: %w", i+2, above.Subject, ErrSigner)
		}
		below = above
	}
	return nil
}

func forDocuments(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.ContainsFunc(c.UnknownExtKeyUsage, oidDocuments.Equal) || slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		return u == x509.ExtKeyUsageEmailProtection || u == x509.ExtKeyUsageCodeSigning || u == x509.ExtKeyUsageAny
	})
}

// Sign puts a signature behind a document that Write made: PAdES baseline B-B (ETSI EN 319 142-1), with a token
// B-T. Every byte that was there stays; the signature covers them all, and all of its own but itself.
func Sign(document []byte, s Signature) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("sign the document: %w", err)
	}
	room := roomSignature + len(s.Signer.Certificate.Raw)
	for _, c := range s.Above {
		room += len(c.Raw)
	}
	if s.Stamp != nil {
		room += roomToken
	}
	u, err := readUpdate(document)
	if err == nil {
		err = u.add(s, room)
	}
	if err != nil {
		return nil, fmt.Errorf("sign the document: %w", err)
	}
	from := bytes.LastIndex(u.b, []byte("/Contents <")) + len("/Contents ")
	to := from + 2*room + 2
	ranges := fmt.Sprintf("%d %d %d", from, to, len(u.b)-to)
	at := bytes.LastIndex(u.b[:from], []byte(rangesBlank))
	copy(u.b[at:], ranges)
	der, err := cms.Sign(io.MultiReader(bytes.NewReader(u.b[:from]), bytes.NewReader(u.b[to:])), cms.SignOptions{
		Signers: []cms.Identity{s.Signer}, Certificates: s.Above, Detached: true, NameCertificate: true, Stamp: s.Stamp,
	})
	if err != nil {
		return nil, fmt.Errorf("sign the document: %w", err)
	}
	if len(der) > room {
		return nil, fmt.Errorf("sign the document: the signature takes %d bytes, and there is room for %d", len(der), room)
	}
	hex.Encode(u.b[from+1:], der)
	return u.b, nil
}

// rangesBlank is where the three numbers of a ByteRange go when they are known.
var rangesBlank = strings.Repeat(" ", 3*10+2)

// An update is what comes behind a document: objects anew or in the place of old ones (ISO 32000-1 section 7.5.6).
type update struct {
	b       []byte
	objects int         // numbers that are taken
	at      map[int]int // where objects of the update begin
	old     []int       // where those of the document do, by number
	root    int         // the catalogue's number
	info    int
	before  int // where the document's own table begins
}

var (
	ending  = regexp.MustCompile(`\ntrailer\n<<\n/Size (\d+)\n/Root (\d+) 0 R\n/Info (\d+) 0 R\n>>\nstartxref\n(\d+)\n%%EOF\n$`)
	pagesOf = regexp.MustCompile(`/Pages (\d+) 0 R`)
	firstOf = regexp.MustCompile(`/Kids \[(\d+) 0 R`)
)

var errForeign = errors.New("it is not as this program writes documents")

// readUpdate reads the tables of a document in the one form that Write's have.
func readUpdate(document []byte) (*update, error) {
	tail := document[max(0, len(document)-400):]
	m := ending.FindSubmatch(tail)
	if m == nil {
		return nil, errForeign
	}
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(string(m[i+1])) // digits; too many of them give no place below
	}
	u := &update{b: bytes.Clone(document), objects: n[0], root: n[1], info: n[2], before: n[3], at: map[int]int{}}
	head := fmt.Sprintf("xref\n0 %d\n", u.objects)
	if u.objects < 2 || u.before < 0 || u.before > len(document) || !bytes.HasPrefix(document[u.before:], []byte(head)) {
		return nil, errForeign
	}
	table := document[u.before+len(head):]
	if len(table) < 20*u.objects {
		return nil, errForeign
	}
	for i := range u.objects {
		at, err := strconv.Atoi(string(table[20*i : 20*i+10]))
		if err != nil {
			return nil, errForeign
		}
		u.old = append(u.old, at)
	}
	return u, nil
}

// object is the text of an object of the document, from its first << on to its last >>.
func (u *update) object(number int) (string, error) {
	if number < 1 || number >= len(u.old) || u.old[number] > u.before {
		return "", errForeign
	}
	head := fmt.Sprintf("%d 0 obj\n", number)
	text, _, ok := strings.Cut(string(u.b[u.old[number]:u.before]), "\nendobj\n")
	if text, found := strings.CutPrefix(text, head); found && ok && strings.HasPrefix(text, "<<") && strings.HasSuffix(text, ">>") {
		return text, nil
	}
	return "", errForeign
}

// number is the object that a text refers to by a pattern.
func number(text string, by *regexp.Regexp) int {
	m := by.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// put writes an object of the update.
func (u *update) put(number int, text string) {
	u.at[number] = len(u.b)
	u.b = fmt.Appendf(u.b, "%d 0 obj\n%s\nendobj\n", number, text)
}

// add writes the signature's objects, with room for it, and the table of them.
func (u *update) add(s Signature, room int) error {
	catalogue, err := u.object(u.root)
	if err != nil {
		return err
	}
	pages, err := u.object(number(catalogue, pagesOf))
	if err != nil {
		return err
	}
	first := number(pages, firstOf)
	page, err := u.object(first)
	if err != nil {
		return err
	}
	signature, field := u.objects, u.objects+1
	ref := fmt.Sprintf("%d 0 R", field)
	if strings.Contains(page, "/Annots [") {
		page = strings.Replace(page, "/Annots [", "/Annots ["+ref+" ", 1)
	} else {
		page = strings.TrimSuffix(page, ">>") + "\n/Annots [" + ref + "]>>"
	}
	u.put(first, page)
	// The form of these signatures came with PDF 1.7 and ETSI's extensions of it.
	u.put(u.root, strings.TrimSuffix(catalogue, ">>")+"/Version /1.7\n/Extensions << /ESIC << /BaseVersion /1.7 /ExtensionLevel 2 >> >>\n"+
		"/AcroForm << /Fields ["+ref+"] /SigFlags 3 >>\n>>")
	// The time is in the dictionary: a signing-time attribute has no place in a PAdES signature.
	u.put(signature, "<<\n/Type /Sig\n/Filter /Adobe.PPKLite\n/SubFilter /ETSI.CAdES.detached\n/M (D:"+s.Time.UTC().Format("20060102150405")+"Z)\n"+
		"/ByteRange [0 "+rangesBlank+"]\n/Contents <"+strings.Repeat("0", 2*room)+">\n>>")
	u.put(field, fmt.Sprintf("<<\n/Type /Annot\n/Subtype /Widget\n/FT /Sig\n/T (Signature)\n/V %d 0 R\n/Rect [0 0 0 0]\n/F 132\n/P %d 0 R\n>>", signature, first))
	at := len(u.b)
	u.b = append(u.b, "xref\n0 1\n0000000000 65535 f \n"...)
	for _, n := range []int{first, u.root, signature, field} {
		u.b = fmt.Appendf(u.b, "%d 1\n%010d 00000 n \n", n, u.at[n])
	}
	u.b = fmt.Appendf(u.b, "trailer\n<<\n/Size %d\n/Root %d 0 R\n/Info %d 0 R\n/Prev %d\n>>\nstartxref\n%d\n%%%%EOF\n", field+1, u.root, u.info, u.before, at)
	return nil
}
