package profiles

import (
	"embed"
	"io/fs"
)

//go:embed features.yaml checks/*.yaml standards/*.yaml profiles/*.yaml
var embedded embed.FS

// Embedded is the data that comes with assay: features.yaml, checks, standards and profiles.
func Embedded() fs.FS { return embedded }
