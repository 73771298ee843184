package sim

import (
	"io/fs"
	"time"
)

// info is what is known of a name.
type info struct {
	name     string
	inode    *inode // nil for a directory
	modified time.Time
}

func (i info) Name() string       { return i.name }
func (i info) IsDir() bool        { return i.inode == nil }
func (i info) ModTime() time.Time { return i.modified }
func (i info) Sys() any           { return i.inode }

func (i info) Size() int64 {
	if i.inode == nil {
		return 0
	}
	return int64(i.inode.size)
}

func (i info) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
