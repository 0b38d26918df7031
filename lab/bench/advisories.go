package bench

import (
	"fmt"
	"os"
	"strings"
	"time"

	"assay/firmware/inspect/vuln"
	"assay/probes"
	"assay/profiles/dossier"
)

// advisories is the dossier's snapshot of known vulnerabilities.
type advisories struct{ snapshot probes.Snapshot }

// Snapshot returns it.
func (a *advisories) Snapshot() probes.Snapshot { return a.snapshot }

// loadAdvisories reads the snapshot once, so that one that cannot be used is known before the run; nil
// without an error where the dossier names none.
func loadAdvisories(d *dossier.Dossier) (*advisories, error) {
	a := d.Advisories
	if a == nil {
		return nil, nil
	}
	wrong := func(err error) error {
		return unusable(fmt.Errorf("dossier advisories, folder %s: %w", a.Folder, err))
	}
	dated, err := time.Parse(time.DateOnly, a.Dated)
	if err != nil {
		return nil, wrong(fmt.Errorf("dated: %w", err))
	}
	files := os.DirFS(inDossier(d, a.Folder))
	loaded, err := vuln.Load(a.Folder, files)
	if err != nil {
		return nil, wrong(err)
	}
	sum := loaded.Match(nil, nil).Digest
	if a.SHA256 != "" && !strings.EqualFold(sum, a.SHA256) {
		return nil, wrong(fmt.Errorf("sha256 is %s, the dossier says %s", sum, a.SHA256))
	}
	return &advisories{probes.Snapshot{Name: a.Folder, Dated: dated, SHA256: sum, Files: files}}, nil
}
