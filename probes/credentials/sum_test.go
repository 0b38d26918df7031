package credentials_test

import (
	"crypto/md5"  //nolint:gosec // what makers do
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

func sum(how, value string) string {
	m, s, l := md5.Sum([]byte(value)), sha1.Sum([]byte(value)), sha256.Sum256([]byte(value)) //nolint:gosec // see above
	switch how {
	case "md5":
		return hex.EncodeToString(m[:])
	case "sha1":
		return hex.EncodeToString(s[:])
	case "base64":
		return base64.StdEncoding.EncodeToString(l[:])
	}
	return hex.EncodeToString(l[:])
}
