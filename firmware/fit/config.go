package fit

import (
	"assay/firmware/fdt"
	"assay/firmware/format"
)

func (img *Image) parseConfigs() error {
	configs := img.tree.Find(configsPath)
	if configs == nil {
		return nil
	}
	if len(configs.Children) > maxConfigs {
		return format.Malformed("%d configurations, at most %d are read", len(configs.Children), maxConfigs)
	}
	var err error
	if img.preset, err = img.tree.Text(configs.Property(defaultProp)); err != nil {
		return err
	}
	for _, n := range configs.Children {
		c, err := img.config(n)
		if err != nil {
			return err
		}
		img.configs = append(img.configs, c)
	}
	if img.preset != "" && img.configOf(img.preset) == nil {
		return format.Malformed("default configuration %.60q does not exist", img.preset)
	}
	return nil
}

func (img *Image) config(n *fdt.Node) (*config, error) {
	c := &config{node: n, name: n.Name}
	var err error
	if c.compatible, err = img.tree.Strings(n.Property("compatible")); err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, p := range n.Properties {
		if namesNoImage(p.Name) {
			continue
		}
		names, err := img.tree.Strings(p)
		if err != nil && mustNameImage(p.Name) {
			return nil, err
		}
		for _, name := range names {
			known := img.byName[name] != nil
			if !known && mustNameImage(p.Name) {
				return nil, format.Malformed("%s of %s names %.60q, which is no image", p.Name, n.Path(), name)
			}
			used[name] = used[name] || known
		}
	}
	for _, p := range img.parts {
		if used[p.name] {
			c.parts = append(c.parts, p)
		}
	}
	for _, s := range n.Children {
		if isSignature(s) {
			sig, err := img.signature(s)
			if err != nil {
				return nil, err
			}
			if c.signatures = append(c.signatures, sig); len(c.signatures) > maxSignatures {
				return nil, format.Malformed("more than %d signatures in %s", maxSignatures, n.Path())
			}
		}
	}
	return c, nil
}

func (img *Image) configOf(name string) *config {
	for _, c := range img.configs {
		if c.name == name {
			return c
		}
	}
	return nil
}

// chosen is the configuration that the device boots: the named one, else the default, else the only one.
func (img *Image) chosen(name string) (*config, error) {
	if name != "" {
		c := img.configOf(name)
		if c == nil {
			return nil, format.Malformed("no configuration %.60q", name)
		}
		return c, nil
	}
	if img.preset != "" {
		return img.configOf(img.preset), nil
	}
	if len(img.configs) == 1 {
		return img.configs[0], nil
	}
	return nil, format.Malformed("%d configurations and no default: name the one that the device boots", len(img.configs))
}
