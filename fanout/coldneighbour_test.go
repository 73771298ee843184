package fanout

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever reads on from cold records into hot ones does not make these cold: they are not the cold cache's to drop. A
// range begins in one block and ends in the next, for batches know nothing of blocks.
func TestHotRecordsBehindColdOnesStayHot(t *testing.T) {
	l := startCold(t, coldLimitBytes, 0, 4, 4)
	const block = 2 << 20
	onFile(t, l.hot[0], func(fd int, _ int64) {
		if err := errors.Join(unix.Fdatasync(fd), unix.Fadvise(fd, 0, block, unix.FADV_DONTNEED)); err != nil {
			t.Fatal(err)
		}
	})
	if cachedBytes(t, l.hot) == sizeOfFiles(t, l.hot) {
		t.Fatal("nothing was dropped: the test tests nothing")
	}
	if err := l.s.dial().readAll(11, []*shadow{l.shadow}); err != nil {
		t.Fatal(err)
	}
	if st := l.s.stats().ColdCache; st.HeldBytes != block {
		t.Errorf("%d bytes are in the cold cache, one block of %d was cold: %+v", st.HeldBytes, block, st)
	}
}
