package sim

import (
	"path"
	"strings"
)

// change is an operation on names that is not durable yet. The sync of a directory that it changes makes it so.
type change struct {
	kind     changeKind
	name, to string
	inode    *inode // nil for a directory
}

type changeKind uint8

const (
	putName changeKind = iota
	removeName
	renameName
)

func (d *Disk) change(c change) {
	c.apply(d.names)
	d.journal = append(d.journal, c)
}

// in says that the change is one of a directory.
func (c *change) in(dir string) bool {
	return path.Dir(c.name) == dir || c.kind == renameName && path.Dir(c.to) == dir
}

func (c *change) apply(names map[string]*inode) {
	switch {
	case c.kind == putName:
		names[c.name] = c.inode
	case c.kind == removeName:
		delete(names, c.name)
	case c.inode != nil:
		delete(names, c.name)
		names[c.to] = c.inode
	default:
		for _, name := range below(names, c.name) {
			names[c.to+strings.TrimPrefix(name, c.name)] = names[name]
			delete(names, name)
		}
	}
}
