package profiles_test

import (
	"assay/profiles"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGen(t *testing.T) {
	files, _ := filepath.Glob("testdata/invalid-*.yaml")
	for _, f := range files {
		r := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "invalid-"), ".yaml")
		b, _ := os.ReadFile(f)
		place := "profile"
		switch {
		case strings.HasPrefix(string(b), "assay: standard"):
			place = "standard"
		case strings.HasPrefix(string(b), "assay: check"):
			place = "checks"
		case strings.HasPrefix(string(b), "assay: feat"):
			place = "features"
		}
		_, err := profiles.Load(valid(t, places[place], f), "p", schemas(t))
		if err == nil {
			fmt.Println("NOERR", r)
			continue
		}
		fmt.Printf("\t\t{%q, %q, `%s`},\n", r, place, err)
	}
}
