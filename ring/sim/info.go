package sim

import (
	"io/fs"
	"time"
)

// info is what is known of a name, as it was when it was asked for.
type info struct {
	name     string
	inode    *inode // nil for a directory
	size     int64
	modified time.Time
}

func (i info) Name() string       { return i.name }
func (i info) IsDir() bool        { return i.inode == nil }
func (i info) ModTime() time.Time { return i.modified }
func (i info) Sys() any           { return i.inode }
func (i info) Size() int64        { return i.size }

func (i info) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
