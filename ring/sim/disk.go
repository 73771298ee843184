package sim

import (
	"cmp"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"oneplusn/segment/mark"
)

// DiskOptions say how unkind the disk is. Each chance is one in so many; 0 is never.
type DiskOptions struct {
	// FileBytes is the most that a file can have; 0 is 256 KiB.
	FileBytes int
	// PageBytes is the size of a page of files; 0 is 4096. Small ones let small files have many.
	PageBytes int
	// CapacityBytes is what all files together can have before the disk is full; 0 is no limit.
	CapacityBytes int
	// FailOneIn lets an operation on a name or a file fail, and a write after some of its bytes.
	FailOneIn int
	// FailSyncOneIn lets a sync fail, which loses pages.
	FailSyncOneIn int
	// EvictOneIn lets the kernel write some pages of a file back and evict some, while the program waits.
	EvictOneIn int
	// ColdOneIn lets a read that must not wait find less than is in the page cache.
	ColdOneIn int
}

// Disk is the file system. A name is a path; the directories above it need no entry of their own.
//
// At a power loss the names are as after some prefix of the operations on them since the last one of which a directory was synced, as
// journalling file systems leave them.
type Disk struct {
	machine *Machine
	options DiskOptions
	names   map[string]*inode // nil for a directory
	durable map[string]*inode
	journal []change
	inodes  []*inode // all there ever were: the journal may name one that has no name any more
	mapped  []*inode // the same, by address, which no decision may depend on
	faults  diskFaults
	ops     int
	// gathered is what one write writes.
	gathered []byte
}

func newDisk(m *Machine, o DiskOptions) *Disk {
	if o.FileBytes == 0 {
		o.FileBytes = 256 << 10
	}
	o.PageBytes = cmp.Or(o.PageBytes, pageBytes)
	return &Disk{machine: m, options: o, names: make(map[string]*inode), durable: make(map[string]*inode), faults: diskFaults{at: -1}}
}

// Options are those of the disk, to be changed while it runs.
func (d *Disk) Options() *DiskOptions { return &d.options }

func missing(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// wander writes some pages of some file back and evicts some, now and then.
func (d *Disk) wander() {
	if len(d.inodes) == 0 || !d.machine.oneIn(d.options.EvictOneIn) {
		return
	}
	mark.Hit("the machine evicted pages of a file")
	n := d.inodes[d.machine.random.IntN(len(d.inodes))]
	for page := range n.pagesIn(n.size) {
		if d.machine.oneIn(2) {
			n.writeBack(page)
		}
	}
	n.evict(func() bool { return d.machine.oneIn(2) })
}

// MkdirAll makes a directory and those above it.
func (d *Disk) MkdirAll(dir string) error {
	if err := d.step("mkdir", dir); err != nil {
		return err
	}
	for at := dir; at != "/" && at != "."; at = path.Dir(at) {
		if n, ok := d.names[at]; ok && n != nil {
			return &fs.PathError{Op: "mkdir", Path: at, Err: syscall.ENOTDIR}
		}
		d.makeDir(at)
	}
	return nil
}

// Mkdir makes one directory, which must not exist.
func (d *Disk) Mkdir(dir string) error {
	if err := d.step("mkdir", dir); err != nil {
		return err
	}
	if _, ok := d.names[dir]; ok {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
	}
	d.makeDir(dir)
	return nil
}

func (d *Disk) makeDir(dir string) {
	if _, ok := d.names[dir]; !ok {
		d.change(change{kind: putName, name: dir})
	}
}

// ReadDir is what is in a directory, in the order of names.
func (d *Disk) ReadDir(dir string) (entries []fs.DirEntry, err error) {
	if err := d.step("readdir", dir); err != nil {
		return nil, err
	}
	if n, ok := d.names[dir]; !ok || n != nil {
		return nil, missing("readdir", dir)
	}
	for _, name := range sorted(d.names, func(name string) bool {
		return len(name) > len(dir) && name[:len(dir)] == dir && path.Dir(name) == dir
	}) {
		entries = append(entries, fs.FileInfoToDirEntry(d.info(name)))
	}
	return entries, nil
}

// Stat is what is known of a name. The error is [fs.ErrNotExist] if there is none.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	if err := d.step("stat", name); err != nil {
		return nil, err
	}
	if _, ok := d.names[name]; !ok {
		return nil, missing("stat", name)
	}
	return d.info(name), nil
}

func (d *Disk) info(name string) info {
	n := d.names[name]
	if n == nil {
		return info{name: path.Base(name)}
	}
	return info{path.Base(name), n, int64(n.size), d.machine.WallClock(n.modified)}
}

// below are the names of dir and of what lies below it.
func below(m map[string]*inode, dir string) []string {
	return sorted(m, func(name string) bool {
		rest, ok := strings.CutPrefix(name, dir)
		return ok && (rest == "" || rest[0] == '/')
	})
}

// sorted are those of the names that are chosen, in their order.
func sorted(m map[string]*inode, chosen func(name string) bool) (names []string) {
	for name := range m {
		if chosen(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Rename gives a file or a directory another name, in place of a file that has it.
func (d *Disk) Rename(from, to string) error {
	if err := d.step("rename", to); err != nil {
		return err
	}
	moved, ok := d.names[from]
	if !ok {
		return missing("rename", from)
	}
	if target, taken := d.names[to]; taken && (moved == nil || target == nil) {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	d.change(change{renameName, from, to, moved})
	return nil
}

// RemoveAll removes a file, or a directory with all that is in it. It is no error if there is none.
func (d *Disk) RemoveAll(name string) error {
	if err := d.step("remove", name); err != nil {
		return err
	}
	for _, one := range below(d.names, name) {
		d.change(change{kind: removeName, name: one})
	}
	return nil
}

// SyncDir makes the operations on the names in a directory durable, and all that came before the last of them.
func (d *Disk) SyncDir(dir string) error {
	if err := d.step("syncdir", dir); err != nil {
		return err
	}
	last := -1
	for i, c := range d.journal {
		if c.in(dir) {
			last = i
		}
	}
	for _, c := range d.journal[:last+1] {
		c.apply(d.durable)
	}
	d.journal = slices.Delete(d.journal, 0, last+1)
	return nil
}

// LosePower is the machine after the power was lost: connections are gone, and the disk is as [Disk] and [inode.afterPowerLoss] say. The
// program must have been killed.
func (m *Machine) LosePower() {
	mark.Pause(false)
	for _, s := range m.sockets {
		s.reset()
	}
	m.sockets = nil
	m.disk.losePower()
}

func (d *Disk) losePower() {
	for _, c := range d.journal[:d.machine.random.IntN(len(d.journal)+1)] {
		c.apply(d.durable)
	}
	mark.HitIf(len(d.journal) > 0, "power was lost before changes of names were durable")
	d.names, d.journal = maps.Clone(d.durable), nil
	named := make(map[*inode]bool)
	for _, n := range d.names {
		named[n] = true
	}
	all := d.inodes
	d.inodes, d.mapped = nil, nil
	for _, n := range all {
		if !named[n] {
			_ = n.arena.Close()
			continue
		}
		n.losePower(d.machine)
		d.keep(n)
	}
}

// newFile is a file without a name.
func (d *Disk) newFile() *inode {
	n := newInode(d.options.FileBytes, d.options.PageBytes)
	n.modified = d.machine.now
	d.keep(n)
	return n
}

// keep adds a file to those whose memory the disk has.
func (d *Disk) keep(n *inode) {
	d.inodes = append(d.inodes, n)
	i, _ := slices.BinarySearchFunc(d.mapped, n.address(), byAddress)
	d.mapped = slices.Insert(d.mapped, i, n)
}

func byAddress(n *inode, address uintptr) int { return cmp.Compare(n.address(), address) }

// mappedAt is the file in whose mapping an address lies, and where; nil if it lies in none.
func (d *Disk) mappedAt(address uintptr) (n *inode, offset int) {
	i, found := slices.BinarySearchFunc(d.mapped, address, byAddress)
	if !found {
		i--
	}
	if i < 0 || address >= d.mapped[i].address()+uintptr(len(d.mapped[i].content)) {
		return nil, 0
	}
	return d.mapped[i], int(address - d.mapped[i].address())
}

// free gives the memory of all files back.
func (d *Disk) free() {
	for _, n := range d.inodes {
		_ = n.arena.Close()
	}
	d.inodes, d.mapped = nil, nil
}

// Close gives the memory of all files back.
func (d *Disk) Close() { d.free() }
