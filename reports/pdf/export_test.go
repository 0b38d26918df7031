package pdf

import (
	"bytes"

	"assay/reports"
)

// Uncompressed is a document whose drawing instructions can be read.
func Uncompressed(r *reports.Report) ([]byte, error) {
	var b bytes.Buffer
	err := write(&b, r, false)
	return b.Bytes(), err
}
