package sim

import (
	"bytes"
	"fmt"
	"time"
	"unsafe"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

const (
	pageBytes   = 4096 // of the page cache
	sectorBytes = 512  // what a disk writes whole
)

// inode is a file: its pages in the page cache, and what the disk has of it.
//
//	written --(writeback, or a sync)--> on the disk
//	   |                                    ^
//	   +--(a sync fails)--> lost: the kernel takes it for written, until it is evicted and the disk's content read
type inode struct {
	arena   *ring.Arena
	content []byte // as it is read, up to the capacity; outside the Go heap, as a mapping is, and never moved
	size    int
	warm    []bool // by page: it is in the page cache
	lost    map[int]bool
	// disk is what a power loss leaves: sectors that were written, and the size.
	disk     []byte
	modified time.Duration
}

func newInode(capacity int) *inode {
	arena, err := ring.NewArena(capacity)
	if err != nil {
		panic(fmt.Sprintf("sim: a file of %d bytes: %v", capacity, err))
	}
	return &inode{arena: arena, content: arena.Slice(0, capacity), warm: make([]bool, pagesIn(capacity))}
}

// address is where the file is mapped.
func (n *inode) address() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(n.content))) }

func pagesIn(n int) int { return (n + pageBytes - 1) / pageBytes }

// pages are those of a range of the file.
func (n *inode) pages(offset, length int64) []bool {
	if offset < 0 || length < 1 || offset+length > int64(n.size) {
		panic(fmt.Sprintf("sim: %d bytes at %d are not a range of a file of %d", length, offset, n.size))
	}
	return n.warm[offset/pageBytes : pagesIn(int(offset+length))]
}

func (n *inode) resident(offset, length int64) bool {
	for _, warm := range n.pages(offset, length) {
		if !warm {
			return false
		}
	}
	return true
}

// read brings a range into the page cache.
func (n *inode) read(offset, length int64) {
	for i := range n.pages(offset, length) {
		n.warm[offset/pageBytes+int64(i)] = true
	}
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
	n.size = max(n.size, offset+len(b))
	n.touch(offset, offset+len(b))
	n.read(int64(offset), int64(len(b)))
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
	for page := from / pageBytes; page*pageBytes < to; page++ {
		delete(n.lost, page)
	}
}

// writeBack puts a page on the disk, and into the disk's size if it lies behind.
func (n *inode) writeBack(page int) {
	from, to := page*pageBytes, min((page+1)*pageBytes, n.size)
	if more := to - len(n.disk); more > 0 {
		n.disk = append(n.disk, make([]byte, more)...)
	}
	copy(n.disk[from:to], n.content[from:to])
}

// onDisk is what a page would be if it were read from the disk.
func (n *inode) onDisk(page int) []byte {
	b := make([]byte, min(pageBytes, n.size-page*pageBytes))
	if from := page * pageBytes; from < len(n.disk) {
		copy(b, n.disk[from:])
	}
	return b
}

// isDirty says that a page is to be written.
func (n *inode) isDirty(page int) bool {
	if n.lost[page] {
		return false
	}
	end := min((page+1)*pageBytes, n.size)
	return end > len(n.disk) || !bytes.Equal(n.disk[page*pageBytes:end], n.content[page*pageBytes:end])
}

// sync writes all pages but those that are taken for written, and the size.
func (n *inode) sync() {
	if len(n.disk) > n.size {
		n.disk = n.disk[:n.size]
	}
	for page := range pagesIn(n.size) {
		if !n.lost[page] {
			n.writeBack(page)
		}
	}
	if more := n.size - len(n.disk); more > 0 {
		n.disk = append(n.disk, make([]byte, more)...)
	}
}

// failSync is a sync that fails: each page is written, or stays to be written, or is lost.
func (n *inode) failSync(m *Machine) {
	for page := range pagesIn(n.size) {
		if !n.isDirty(page) {
			continue
		}
		switch m.random.IntN(3) {
		case 0:
			n.writeBack(page)
		case 1:
			if n.lost == nil {
				n.lost = make(map[int]bool)
			}
			n.lost[page] = true
		}
	}
}

// evict drops pages from the page cache that are clean, or taken for clean: these are read from the disk from here on.
func (n *inode) evict(chosen func() bool) {
	for page := range pagesIn(n.size) {
		switch {
		case !chosen():
		case n.lost[page]:
			mark.Hit("a page that a failed sync had lost was evicted")
			copy(n.content[page*pageBytes:], n.onDisk(page))
			delete(n.lost, page)
			n.warm[page] = false
		case !n.isDirty(page):
			n.warm[page] = false
		}
	}
}

// afterPowerLoss is the file that the disk has: of each sector that was not synced the old or the new content, and a size between.
func (n *inode) afterPowerLoss(m *Machine) *inode {
	size := len(n.disk)
	switch m.random.IntN(3) {
	case 0:
		size = n.size
	case 1:
		if d := n.size - size; d > 0 {
			mark.Hit("power was lost, and a file had a size between two")
			size += m.random.IntN(d + 1)
		}
	}
	after := newInode(len(n.content))
	after.size = size
	copy(after.content[:size], n.disk)
	all := m.random.IntN(2) == 0
	for at := 0; at < size; at += sectorBytes {
		end := min(at+sectorBytes, size, n.size)
		if at < end && !n.lost[at/pageBytes] && (all || m.random.IntN(2) == 0) {
			copy(after.content[at:end], n.content[at:end])
		}
	}
	mark.HitIf(!all && !bytes.Equal(after.content[:size], n.content[:size]), "power was lost, and of a file some sectors were old and some new")
	after.disk = bytes.Clone(after.content[:size])
	after.modified = n.modified
	return after
}
