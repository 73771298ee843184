package sim

import (
	"maps"
	"path"
	"slices"
	"time"
)

// What is below is done to the disk by somebody else, or by a test that looks at it. It counts as no operation, and nothing of it fails.

// Names are those of all files, in order.
func (d *Disk) Names() []string {
	return sorted(d.names, func(name string) bool { return d.names[name] != nil })
}

// Content is a file as a mapping of it: what is changed there is changed in the page cache.
func (d *Disk) Content(name string) (b []byte, ok bool) {
	n := d.names[name]
	if n == nil {
		return nil, false
	}
	return n.content[:n.size:n.size], true
}

// IsDurable says that a file has its name after a loss of power.
func (d *Disk) IsDurable(name string) bool { return d.durable[name] != nil }

// Put makes a file, with its directories, or replaces its content. All of it is on the disk.
func (d *Disk) Put(name string, content []byte) {
	n := d.names[name]
	if n == nil {
		n = d.newFile()
		for at := path.Dir(name); at != "/" && at != "."; at = path.Dir(at) {
			d.names[at], d.durable[at] = nil, nil
		}
		d.names[name], d.durable[name] = n, n
	}
	n.truncate(0)
	n.write(content, 0)
	n.sync()
}

// Remove removes a file, also from the disk.
func (d *Disk) Remove(name string) {
	delete(d.names, name)
	delete(d.durable, name)
}

// SetModified changes when a file was written to last.
func (d *Disk) SetModified(name string, at time.Time) {
	d.names[name].modified = at.Sub(d.machine.options.Epoch)
}

// Lost is how many pages of a file are taken for written and are not on the disk.
func (d *Disk) Lost(name string) (n int) {
	for _, state := range d.names[name].state {
		if state == lost {
			n++
		}
	}
	return n
}

// Evict drops those pages of a file from the page cache that are chosen and not to be written.
func (d *Disk) Evict(name string, chosen func() bool) { d.names[name].evict(chosen) }

// Fill makes the disk as large as what is on it, and so many bytes.
func (d *Disk) Fill(room int) { d.options.CapacityBytes = max(d.used()+room, 1) }

// Spoil lets the disk not read n bytes of a file from a position on, or rather the pages in which they lie, until those are written
// again, or the time has passed; 0 is for ever. Pages that wait to be written are.
func (d *Disk) Spoil(name string, from, n int, during time.Duration) {
	file := d.names[name]
	if file.bad == nil {
		file.bad = make(map[int]bool)
	}
	first, end := from/file.page, file.pagesIn(from+n)
	for page := first; page < end; page++ {
		file.writeBack(page)
		file.bad[page] = true
	}
	file.evictPages(first, min(end, file.pagesIn(file.size)), func() bool { return true })
	if during > 0 {
		d.machine.After(during, func() {
			for page := first; page < end; page++ {
				delete(file.bad, page)
			}
		})
	}
}

// Heal undoes [Disk.Fill] and [Disk.Spoil].
func (d *Disk) Heal() {
	d.options.CapacityBytes = 0
	for _, n := range d.inodes {
		clear(n.bad)
	}
}

// Aside lets what is done until back is called count as no operation.
func (d *Disk) Aside() (back func()) {
	ops, faults := d.ops, d.faults
	d.faults.at = -1
	return func() { d.ops, d.faults = ops, faults }
}

// Copy is another machine at the same time, with a copy of the disk and of the page cache, and the same generator. It has no network.
func (m *Machine) Copy() *Machine {
	c := NewMachine(0, m.options)
	c.random, c.now = m.random, m.now
	copies := make(map[*inode]*inode)
	for _, n := range m.disk.inodes {
		copies[n] = n.copy()
		c.disk.keep(copies[n])
	}
	from, to := m.disk, c.disk
	to.options, to.ops = from.options, from.ops
	for _, names := range [][2]map[string]*inode{{from.names, to.names}, {from.durable, to.durable}} {
		for name, n := range maps.All(names[0]) {
			names[1][name] = copies[n]
		}
	}
	to.journal = slices.Clone(from.journal)
	for i := range to.journal {
		to.journal[i].inode = copies[to.journal[i].inode]
	}
	return c
}
