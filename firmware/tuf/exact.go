package tuf

import (
	"bytes"
	"encoding/json"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"assay/firmware/format"
)

// exact asks that what go-tuf checks a signature over is what the file says. go-tuf decodes
// metadata and encodes it again for that, so that a digest in capital letters, a date written
// otherwise or a member left out at its default is the same to it, and another to others.
func exact(d *document) error {
	decoder := json.NewDecoder(bytes.NewReader(d.raw))
	decoder.UseNumber()
	var file struct {
		Signed any `json:"signed"`
	}
	if err := decoder.Decode(&file); err != nil {
		return malformed("%s: %v", d.path, err)
	}
	want, err := cjson.EncodeCanonical(file.Signed)
	if err != nil {
		return malformed("%s has no canonical form: %v", d.path, err)
	}
	have, err := guard(func() ([]byte, error) { return encodeAgain(d) })
	if err != nil {
		return malformed("%s: %v", d.path, err)
	}
	if !bytes.Equal(want, have) {
		return wrap(format.ErrBadSignature, "%s is not written as it was signed", d.path)
	}
	return nil
}

func encodeAgain(d *document) ([]byte, error) {
	var again any
	switch d.Signed.Type {
	case roleRoot:
		m, err := metadata.Root().FromBytes(d.raw)
		if err != nil {
			return nil, err
		}
		again = m.Signed
	case roleTimestamp:
		m, err := metadata.Timestamp().FromBytes(d.raw)
		if err != nil {
			return nil, err
		}
		again = m.Signed
	case roleSnapshot:
		m, err := metadata.Snapshot().FromBytes(d.raw)
		if err != nil {
			return nil, err
		}
		again = m.Signed
	default:
		m, err := metadata.Targets().FromBytes(d.raw)
		if err != nil {
			return nil, err
		}
		again = m.Signed
	}
	return cjson.EncodeCanonical(again)
}
