package inspect

import (
	"assay/firmware/inspect/erofs"
	"assay/firmware/inspect/jffs2"
	"assay/firmware/inspect/ubi"
)

// flashKinds are the file systems of raw flash, and erofs.
func flashKinds() []kind {
	return []kind{
		{name: "ubi", is: ubi.Is, read: ubi.Walk, needles: needle(0, "UBI#\x01")},
		{name: "ubifs", is: ubi.IsFS, read: ubi.FS, needles: needle(0, "\x31\x18\x10\x06")},
		{name: "jffs2", is: jffs2.Is, read: jffs2.Walk, needles: needle(0, "\x85\x19\x01\xe0", "\x85\x19\x02\xe0", "\x85\x19\x03\x20", "\x19\x85\xe0\x01", "\x19\x85\xe0\x02", "\x19\x85\x20\x03")},
		{name: "erofs", is: erofs.Is, read: erofs.Walk, needles: needle(1024, "\xe2\xe1\xf5\xe0")},
	}
}
