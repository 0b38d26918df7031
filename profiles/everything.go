package profiles

import "io/fs"

// Everything is all that a file system laid out like Embedded holds.
type Everything struct {
	Sets      []*Set      // one for each profile, in the order of List
	Standards []*Standard // whole, reference ones among them, in the order of their ids
	Crosswalk *Crosswalk  // nil where there is none
}

// LoadAll reads every profile, every standard and the crosswalk; what they share is read and compiled
// once. It is what LoadEach, Standards and ReadCrosswalk return, for less than half of the work.
func LoadAll(fsys fs.FS, schemas map[string]Schema) (*Everything, error) {
	l, err := newLibrary(fsys, schemas, false)
	if err != nil {
		return nil, err
	}
	e := &Everything{}
	if e.Sets, err = l.each(List(fsys)); err != nil {
		return nil, err
	}
	if e.Standards, err = l.all(); err != nil {
		return nil, err
	}
	if e.Crosswalk, err = l.crosswalk(); err != nil {
		return nil, err
	}
	return e, nil
}
