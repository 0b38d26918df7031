package vuln

import (
	"maps"
	"slices"
	"strings"
)

// document is a CSAF 2.0 document, as much of it as decides a match.
type document struct {
	Document struct {
		Category string `json:"category"`
		Version  string `json:"csaf_version"`
		Tracking struct {
			ID      string `json:"id"`
			Current string `json:"current_release_date"`
		} `json:"tracking"`
	} `json:"document"`
	Tree struct {
		Branches      []branch  `json:"branches"`
		Names         []product `json:"full_product_names"`
		Relationships []struct {
			Product   product `json:"full_product_name"`
			Reference string  `json:"product_reference"`
		} `json:"relationships"`
		Groups []struct {
			ID  string   `json:"group_id"`
			IDs []string `json:"product_ids"`
		} `json:"product_groups"`
	} `json:"product_tree"`
	Vulnerabilities []struct {
		CVE string `json:"cve"`
		IDs []struct {
			Text string `json:"text"`
		} `json:"ids"`
		Status map[string][]string `json:"product_status"`
		Flags  []remark            `json:"flags"`
		Threat []remark            `json:"threats"`
	} `json:"vulnerabilities"`
}

type branch struct {
	Category string   `json:"category"`
	Name     string   `json:"name"`
	Branches []branch `json:"branches"`
	Product  *product `json:"product"`
}

type product struct {
	ID     string `json:"product_id"`
	Name   string `json:"name"`
	Helper struct {
		PURL string `json:"purl"`
	} `json:"product_identification_helper"`
}

// remark is a flag (why not affected) or a threat (what it means) for some products.
type remark struct {
	Label    string   `json:"label"`
	Details  string   `json:"details"`
	Category string   `json:"category"`
	Products []string `json:"product_ids"`
	Groups   []string `json:"group_ids"`
}

// item is a product as a match needs it.
type item struct {
	purl, name, version, within string
}

// statement is what one document says of one product and one vulnerability.
type statement struct {
	item
	ids    []string
	status Status
	reason string
	file   int
}

// statuses of CSAF as this package tells them.
var statuses = map[string]Status{"known_affected": Affected, "first_affected": Affected, "last_affected": Affected, "known_not_affected": NotAffected,
	"fixed": Fixed, "first_fixed": Fixed, "under_investigation": Investigated, "recommended": ""}

const maxBranches = 32

func (d *document) items() map[string]item {
	out := map[string]item{}
	var walk func(b branch, name, version, within string, depth int)
	walk = func(b branch, name, version, within string, depth int) {
		switch b.Category {
		case "product_name":
			name = b.Name
		case "product_version":
			version = b.Name
		case "product_version_range":
			within = b.Name
		}
		if b.Product != nil {
			out[b.Product.ID] = item{b.Product.Helper.PURL, name, version, within}
		}
		if depth < maxBranches {
			for _, c := range b.Branches {
				walk(c, name, version, within, depth+1)
			}
		}
	}
	for _, b := range d.Tree.Branches {
		walk(b, "", "", "", 0)
	}
	for _, p := range d.Tree.Names {
		out[p.ID] = item{purl: p.Helper.PURL, name: p.Name}
	}
	for _, r := range d.Tree.Relationships { // a component of a product speaks for the component
		it := out[r.Reference]
		if r.Product.Helper.PURL != "" {
			it.purl = r.Product.Helper.PURL
		}
		out[r.Product.ID] = it
	}
	return out
}

func (d *document) statements(file int) []statement {
	items, groups := d.items(), map[string][]string{}
	for _, g := range d.Tree.Groups {
		groups[g.ID] = g.IDs
	}
	var out []statement
	for _, v := range d.Vulnerabilities {
		ids := []string{}
		if v.CVE != "" {
			ids = append(ids, v.CVE)
		}
		for _, id := range v.IDs {
			ids = append(ids, id.Text)
		}
		for _, status := range slices.Sorted(maps.Keys(v.Status)) {
			known := statuses[status]
			for _, id := range v.Status[status] {
				it, ok := items[id]
				if known == "" || !ok || len(ids) == 0 {
					continue
				}
				out = append(out, statement{it, ids, known, reasonFor(id, groups, v.Flags, v.Threat), file})
			}
		}
	}
	return out
}

func reasonFor(id string, groups map[string][]string, lists ...[]remark) string {
	for _, list := range lists {
		for _, r := range list {
			products := r.Products
			for _, g := range r.Groups {
				products = append(products, groups[g]...)
			}
			for _, p := range products {
				if p == id && r.Label+r.Details != "" {
					return strings.TrimSpace(r.Label + " " + r.Details)
				}
			}
		}
	}
	return ""
}

// fits tells whether the item is the version of a component.
func (it item) fits(c Subject) bool {
	base, version := purlBase(it.purl)
	own, _ := purlBase(c.PURL)
	_, bare, _ := strings.Cut(base, "pkg:generic/")
	switch {
	case it.purl != "" && base == own:
	case it.purl != "" && !strings.EqualFold(bare, c.Name): // another package, whatever its name
		return false
	case it.purl != "":
	case it.name != "" && (strings.EqualFold(it.name, c.Name) || strings.EqualFold(it.name, c.Name+" "+c.Version)):
	default:
		return false
	}
	if version == "" {
		version = it.version
	}
	switch {
	case it.within != "" && version == "":
		return inRange(it.within, c)
	case version == "":
		// A product without a version speaks for all of them only where it is the name with the version.
		return it.purl != "" || strings.EqualFold(it.name, c.Name+" "+c.Version)
	}
	return version == c.Version || upstream(c.Ecosystem) && Compare("", version, c.Version) == 0 || version == c.upstreamVersion()
}

// inRange reads vers:scheme/constraints (the vers specification): all of them must hold. What
// it cannot read holds nothing.
func inRange(text string, c Subject) bool {
	_, constraints, ok := strings.Cut(strings.TrimPrefix(text, "vers:"), "/")
	if !ok || !strings.HasPrefix(text, "vers:") {
		return false
	}
	version := c.upstreamVersion()
	if !upstream(c.Ecosystem) && c.Ecosystem != "opkg" && c.Ecosystem != "Yocto" {
		version = c.Version
	}
	for _, one := range strings.Split(constraints, "|") {
		one = strings.TrimSpace(one)
		bare := strings.TrimLeft(one, "<>=!")
		n := Compare(c.Ecosystem, version, strings.TrimSpace(bare))
		holds := false
		switch strings.TrimSuffix(one, bare) {
		case "<":
			holds = n < 0
		case "<=":
			holds = n <= 0
		case ">":
			holds = n > 0
		case ">=":
			holds = n >= 0
		case "!=":
			holds = n != 0
		case "", "=":
			holds = n == 0 || bare == "*"
		}
		if !holds {
			return false
		}
	}
	return true
}
