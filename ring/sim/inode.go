package sim

import (
	"bytes"
	"fmt"
	"maps"
	"time"
	"unsafe"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

const (
	pageBytes   = 4096 // of the page cache, unless the options say otherwise
	sectorBytes = 512  // what a disk writes whole, at most a page
)

// inode is a file: its pages in the page cache, and what the disk has of it.
type inode struct {
	page    int // bytes
	arena   *ring.Arena
	content []byte // as it is read, up to the capacity; outside the Go heap, as a mapping is, and never moved; zero behind the end
	size    int
	warm    []bool // by page: it is in the page cache
	state   []pageState
	bad     map[int]bool // pages of which the disk cannot read a sector, until it is written
	// disk is what a power loss leaves of the file: sectors that were written, and the size, behind which it is zero.
	disk     []byte
	diskSize int
	modified time.Duration
}

// pageState is how a page of a file and the disk compare.
//
//	clean --(written)--> dirty --(writeback, or a sync)--> clean
//	                       |
//	                       +--(a sync fails)--> lost --(evicted, and the disk's content read)--> clean
type pageState byte

const (
	clean pageState = iota
	dirty
	lost // the kernel takes it for written
)

func newInode(capacity, page int) *inode {
	half := (capacity + pageBytes - 1) / pageBytes * pageBytes
	arena, err := ring.NewArena(2 * half)
	if err != nil {
		panic(fmt.Sprintf("sim: a file of %d bytes: %v", capacity, err))
	}
	n := &inode{page: page, arena: arena, content: arena.Slice(0, capacity), disk: arena.Slice(half, capacity)}
	n.warm, n.state = make([]bool, n.pagesIn(capacity)), make([]pageState, n.pagesIn(capacity))
	return n
}

// copy is another file of the same content, in the same state.
func (n *inode) copy() *inode {
	c := newInode(len(n.content), n.page)
	copy(c.content[:n.size], n.content)
	copy(c.disk[:n.diskSize], n.disk)
	copy(c.warm, n.warm)
	copy(c.state, n.state)
	c.size, c.diskSize, c.modified, c.bad = n.size, n.diskSize, n.modified, maps.Clone(n.bad)
	return c
}

// address is where the file is mapped.
func (n *inode) address() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(n.content))) }

func (n *inode) pagesIn(bytes int) int { return (bytes + n.page - 1) / n.page }

// pages are those of a range of the file.
func (n *inode) pages(offset, length int64) []bool {
	if offset < 0 || length < 1 || offset+length > int64(n.size) {
		panic(fmt.Sprintf("sim: %d bytes at %d are not a range of a file of %d", length, offset, n.size))
	}
	return n.warm[offset/int64(n.page) : n.pagesIn(int(offset+length))]
}

func (n *inode) resident(offset, length int64) bool {
	for _, warm := range n.pages(offset, length) {
		if !warm {
			return false
		}
	}
	return true
}

// read brings a range into the page cache, up to the first page that the disk cannot read: it says how many bytes of it.
func (n *inode) read(offset, length int64) (readable int64) {
	first := int(offset) / n.page
	for i := range n.pages(offset, length) {
		if page := first + i; n.isBad(page) {
			return max(int64(page*n.page)-offset, 0)
		}
		n.warm[first+i] = true
	}
	return length
}

// isBad says that a page is not in the page cache and cannot be read.
func (n *inode) isBad(page int) bool { return len(n.bad) > 0 && n.bad[page] && !n.warm[page] }

// blocks says that a write would have to read a page of which it changes a part, and that cannot be read.
func (n *inode) blocks(offset, length int) bool {
	end := offset + length
	return offset%n.page > 0 && n.isBad(offset/n.page) || end%n.page > 0 && end < n.size && n.isBad(end/n.page)
}

// write writes to the page cache. There must be room for it.
func (n *inode) write(b []byte, offset int) {
	if offset+len(b) > len(n.content) {
		panic(fmt.Sprintf("sim: %d bytes are written at %d of a file that can have %d", len(b), offset, len(n.content)))
	}
	if len(b) == 0 {
		return
	}
	copy(n.content[offset:], b)
	n.touch(min(offset, n.size), offset+len(b)) // and what lies between: it is written as zeros
	n.size = max(n.size, offset+len(b))
	for page := offset / n.page; page*n.page < offset+len(b); page++ {
		n.warm[page] = true
	}
}

func (n *inode) truncate(size int) {
	if size > len(n.content) {
		panic(fmt.Sprintf("sim: a file that can have %d bytes is truncated to %d", len(n.content), size))
	}
	n.touch(min(size, n.size), max(size, n.size))
	if size < n.size {
		clear(n.content[size:n.size])
	}
	n.size = size
}

// touch says that pages are to be written, those that were lost too.
func (n *inode) touch(from, to int) {
	for page := from / n.page; from < to && page*n.page < to; page++ {
		n.state[page] = dirty
	}
}

// writeBack puts a dirty page on the disk, and into the disk's size if it lies behind.
func (n *inode) writeBack(page int) {
	if n.state[page] != dirty {
		return
	}
	from, to := page*n.page, min((page+1)*n.page, n.size)
	copy(n.disk[from:to], n.content[from:to])
	n.diskSize = max(n.diskSize, to)
	n.state[page] = clean
	delete(n.bad, page)
}

// sync writes all pages but those that are taken for written, and the size.
func (n *inode) sync() {
	if n.size < n.diskSize {
		clear(n.disk[n.size:n.diskSize])
	}
	n.diskSize = n.size
	for page := range n.pagesIn(n.size) {
		n.writeBack(page)
	}
}

// failSync is a sync that fails: each page is written, or stays to be written, or is lost. It says how many are.
func (n *inode) failSync(m *Machine) (losses int) {
	for page := range n.pagesIn(n.size) {
		if n.state[page] != dirty {
			continue
		}
		switch m.random.IntN(3) {
		case 0:
			n.writeBack(page)
		case 1:
			n.state[page] = lost
			losses++
		}
	}
	return losses
}

// evict drops pages from the page cache that are clean, or taken for clean: these are read from the disk from here on.
func (n *inode) evict(chosen func() bool) { n.evictPages(0, n.pagesIn(n.size), chosen) }

func (n *inode) evictPages(from, to int, chosen func() bool) {
	for page := from; page < to; page++ {
		if n.state[page] == dirty || !chosen() {
			continue
		}
		if n.state[page] == lost {
			mark.Hit("a page that a failed sync had lost was evicted")
			from, to := page*n.page, min((page+1)*n.page, n.size)
			copy(n.content[from:to], n.disk[from:to])
			n.state[page] = clean
		}
		n.warm[page] = false
	}
}

// losePower leaves the file that the disk has: of each sector that was not synced the old or the new content, and a size between.
func (n *inode) losePower(m *Machine) {
	size := n.diskSize
	switch m.random.IntN(3) {
	case 0:
		size = n.size
	case 1:
		if d := n.size - size; d > 0 {
			mark.Hit("power was lost, and a file had a size between two")
			size += m.random.IntN(d + 1)
		}
	}
	most := max(n.size, n.diskSize)
	all := m.random.IntN(2) == 0
	for page := range n.pagesIn(most) {
		if n.state[page] != clean || (page+1)*n.page > n.size { // behind the end the disk may have what was cut off
			n.tear(m, page, all)
		}
	}
	clear(n.content[size:most])
	clear(n.disk[size:most])
	n.size, n.diskSize = size, size
	clear(n.warm)
}

// tear leaves of each sector of a page that was not synced the old or the new content. all says that it is always the new one.
func (n *inode) tear(m *Machine, page int, all bool) {
	for at := page * n.page; at < min((page+1)*n.page, len(n.content)); at += min(sectorBytes, n.page) {
		end, written := min(at+min(sectorBytes, n.page), len(n.content)), at
		if n.state[page] == dirty && (all || m.random.IntN(2) == 0) {
			written = max(min(end, n.size), at)
		}
		mark.HitIf(written == at && !bytes.Equal(n.content[at:end], n.disk[at:end]), "power was lost, and of a file some sectors were old")
		copy(n.disk[at:written], n.content[at:written])
		copy(n.content[at:end], n.disk[at:end])
	}
	n.state[page] = clean
}
