package sim

import (
	"bytes"
	"testing"
)

// Whatever was written, synced, written back, evicted and truncated before: after a power loss each sector is as it was at the last
// sync or at some write after it.
func TestPowerLossLeavesOfEachSectorWhatWasSyncedOrWrittenSince(t *testing.T) {
	const capacity = 8 * pageBytes
	for seed := range uint64(300) {
		m := NewMachine(seed, Options{})
		n := newInode(capacity, pageBytes)
		allowed := make([][][]byte, capacity/sectorBytes) // of each sector since the last sync
		note := func() {
			for i := range allowed {
				allowed[i] = append(allowed[i], bytes.Clone(n.content[i*sectorBytes:(i+1)*sectorBytes]))
			}
		}
		note()
		for range m.random.IntN(30) {
			switch m.random.IntN(5) {
			case 0, 1:
				b := make([]byte, 1+m.random.IntN(6000))
				for i := range b {
					b[i] = byte(m.random.Uint32())
				}
				n.write(b, m.random.IntN(capacity-len(b)))
			case 2:
				n.truncate(m.random.IntN(capacity))
			case 3:
				n.evict(func() bool { return m.oneIn(2) })
				for page := range n.pagesIn(n.size) {
					if m.oneIn(4) {
						n.writeBack(page)
					}
				}
			case 4:
				n.sync()
				clear(allowed)
			}
			note()
		}
		n.losePower(m)
		for i, versions := range allowed {
			got := n.content[i*sectorBytes : (i+1)*sectorBytes]
			if !containsUpTo(versions, got, n.size-i*sectorBytes) {
				t.Fatalf("seed %d: sector %d of a file of %d bytes is neither as it was synced nor as it was written since", seed, i, n.size)
			}
			if !bytes.Equal(got, n.disk[i*sectorBytes:(i+1)*sectorBytes]) {
				t.Fatalf("seed %d: sector %d is not what the disk has", seed, i)
			}
		}
		_ = n.arena.Close()
	}
}

// containsUpTo says that a sector is one of the versions, up to the end of the file, behind which it is zero. A sector may consist
// of two versions where the file was cut in the middle of it.
func containsUpTo(versions [][]byte, got []byte, end int) bool {
	for i := range got {
		ok := i >= end && got[i] == 0
		for _, v := range versions {
			ok = ok || v[i] == got[i]
		}
		if !ok {
			return false
		}
	}
	return true
}
