package fanout

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// Reading on from cold records into hot ones does not make the hot ones cold: the cold cache must not drop them. A range may
// begin in one block and end in the next, because batches are not aligned to blocks.
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
