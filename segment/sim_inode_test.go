package segment

import (
	"bytes"
	"math/rand/v2"
)

const simPage = 64

// simInode is a file: its bytes as they are read, those on the disk, and the pages that the kernel takes for written
// and that are not on the disk.
type simInode struct {
	data, synced []byte
	lost         map[int]bool
	modified     int64 // in milliseconds
}

// lose picks for each page whether it was written, and the size.
func (n *simInode) lose(rng *rand.Rand) []byte {
	size := len(n.synced)
	switch rng.IntN(3) {
	case 0:
		size = len(n.data)
	case 1:
		if d := len(n.data) - len(n.synced); d > 0 {
			size += rng.IntN(d + 1)
		}
	}
	out := make([]byte, size)
	copy(out, n.synced)
	all := rng.IntN(2) == 0
	for at := 0; at < size; at += simPage {
		end := min(at+simPage, size, len(n.data))
		if at < end && !n.lost[at/simPage] && (all || rng.IntN(2) == 0) {
			copy(out[at:end], n.data[at:end])
		}
	}
	return out
}

// writeBack puts a page on the disk, and into the file's size if it lies behind.
func (n *simInode) writeBack(page int) {
	from, to := page*simPage, min((page+1)*simPage, len(n.data))
	if more := to - len(n.synced); more > 0 {
		n.synced = append(n.synced, make([]byte, more)...)
	}
	copy(n.synced[from:to], n.data[from:to])
}

// onDisk is a page's content if it were read from the disk.
func (n *simInode) onDisk(page int) []byte {
	b := make([]byte, min(simPage, len(n.data)-page*simPage))
	if from := page * simPage; from < len(n.synced) {
		copy(b, n.synced[from:])
	}
	return b
}

// pages is how many pages the file has.
func (n *simInode) pages() int { return (len(n.data) + simPage - 1) / simPage }

// sync writes all pages but those that are taken for written, and the size.
func (n *simInode) sync() {
	synced := bytes.Clone(n.data)
	for page := range n.lost {
		copy(synced[page*simPage:], n.onDisk(page))
	}
	n.synced = synced
}

// failSync is a sync that fails. It says how many pages are lost by it.
func (n *simInode) failSync(rng *rand.Rand) (lost int) {
	for page := range n.pages() {
		from, to := page*simPage, min((page+1)*simPage, len(n.data))
		if n.lost[page] || to <= len(n.synced) && bytes.Equal(n.data[from:to], n.synced[from:to]) {
			continue
		}
		switch rng.IntN(3) {
		case 0:
			n.writeBack(page)
		case 1:
			if n.lost == nil {
				n.lost = make(map[int]bool)
			}
			n.lost[page] = true
			lost++
		}
	}
	n.evict(rng.IntN(3) == 0, rng)
	return lost
}

// evict lets some or all of the pages that are taken for written be read from the disk from here on.
func (n *simInode) evict(all bool, rng *rand.Rand) {
	for page := range n.pages() {
		if n.lost[page] && (all || rng.IntN(2) == 0) {
			copy(n.data[page*simPage:], n.onDisk(page))
			delete(n.lost, page)
		}
	}
}

// touch notes that pages are to be written.
func (n *simInode) touch(from, to int) {
	for page := from / simPage; page*simPage < to; page++ {
		delete(n.lost, page)
	}
}
