package firmware

import (
	"archive/zip"
	"bytes"
	"io/fs"

	"assay/firmware/format"
)

// The names of the files of a variant that is not one file, beside those of a folder.
const (
	FileSignature = format.FileSignature
	FileArtifact  = format.FileArtifact
	FileFirst     = format.FileFirst
	FileSecond    = format.FileSecond
)

// Refuses puts a variant before our own verifier, and a genuine one before the device of its
// manifest: the error is why it is refused, nil if it is accepted. Of a pair, the second must be refused.
func Refuses(genuine Input, v Variant, trust Trust) error {
	in := Input{Source: format.FromBytes(v.Bytes), Artifact: genuine.Artifact}
	if v.Files != nil {
		in = inputOf(genuine, v.Files)
	}
	img, err := OpenUnverified(in)
	if err != nil {
		return err
	}
	if _, err := img.Verify(trust); err != nil {
		return err
	}
	if v.Manifest.Device != nil {
		return img.Check(*v.Manifest.Device)
	}
	return nil
}

func inputOf(genuine Input, files map[string][]byte) Input {
	second, pair := files[FileSecond]
	if signature, ok := files[FileSignature]; ok {
		in := Input{Source: format.FromBytes(signature), Artifact: genuine.Artifact}
		artifact, beside := files[FileArtifact]
		if pair { // the signature stays, what it is for changes
			artifact, beside = second, true
		}
		if beside {
			src := format.FromBytes(artifact)
			in.Artifact = &src
		}
		return in
	}
	if pair {
		return Input{Source: format.FromBytes(second), Artifact: genuine.Artifact}
	}
	return Input{Dir: folder(files)}
}

// folder holds files in memory. A zip archive is the standard library's file system in memory.
func folder(files map[string][]byte) fs.FS {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			return nil // a buffer takes everything; a name that is none makes a folder that nothing reads
		}
	}
	if w.Close() != nil {
		return nil
	}
	r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return nil
	}
	return r
}
