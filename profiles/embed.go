package profiles

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml checks/*.yaml standards/*.yaml profiles/*.yaml
var embedded embed.FS

// Embedded is the data that comes with assay: features.yaml, register.yaml, crosswalk.yaml, checks, standards and profiles.
func Embedded() fs.FS { return embedded }
