package pagecache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"oneplusn/ring"
	"oneplusn/ring/sim"
)

const (
	testBlock  = 8192
	kindAdvice = 1
	kindRead   = 2
)

type testFile struct {
	*sim.File
	refs int
}

func (f *testFile) Retain()     { f.refs++ }
func (f *testFile) Release()    { f.refs-- }
func (f *testFile) Held() bool  { return f.refs > 0 }
func (f *testFile) Size() int64 { return int64(len(f.Content())) }

// lab is a cache over a simulated page cache, and a reader.
type lab struct {
	t      *testing.T
	kernel *sim.Kernel
	cache  *Cache
	file   *testFile
	buffer []byte
}

func newLab(t *testing.T, seed uint64, blocks int, c Config) *lab {
	t.Helper()
	k := sim.New(seed, sim.Options{})
	file, err := k.NewFile(blocks*testBlock, false)
	if err != nil {
		t.Fatal(err)
	}
	arena, err := ring.NewArena(testBlock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = file.Close(), arena.Close() })
	c.BlockBytes = testBlock
	return &lab{t, k, New(k, kindAdvice, c), &testFile{file, 1}, arena.Take(testBlock)}
}

// read reads a block as a subscriber does, and lets all operations end.
func (l *lab) read(block int) {
	l.t.Helper()
	pos := int64(block) * testBlock
	cold := l.cache.Holds(l.file, pos, testBlock) || !l.kernel.Resident(l.file.Fd(), pos, testBlock)
	from, to := l.cache.NoteRead(l.file, pos, testBlock, cold)
	l.kernel.Queue(ring.Read(ring.NewToken(kindRead, 0, 0), l.file.Fd(), l.buffer, pos))
	for l.kernel.InFlight() > 0 {
		completions, err := l.kernel.Wait(time.Second)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, c := range completions {
			switch {
			case c.Token.Kind() == kindRead && to > 0:
				l.cache.Arrived(l.file, from, to-from)
			case c.Token.Kind() == kindAdvice && !l.cache.Advised(c):
				l.t.Fatalf("%v is the advice of nobody", c.Token)
			}
		}
	}
	l.cache.Trim(l.kernel.Now())
	l.cache.recount()
}

// resident lists the blocks that are in the page cache.
func (l *lab) resident() (blocks []int) {
	for i := range len(l.file.Content()) / testBlock {
		if l.kernel.Resident(l.file.Fd(), int64(i)*testBlock, testBlock) {
			blocks = append(blocks, i)
		}
	}
	return blocks
}

func TestOldestColdBlockGoesFirstUnlessItWasReadAgain(t *testing.T) {
	l := newLab(t, 1, 8, Config{LimitBytes: 4 * testBlock})
	for _, step := range []struct {
		read int
		want []int
	}{{0, []int{0}}, {1, []int{0, 1}}, {2, []int{0, 1, 2}}, {3, []int{0, 1, 2, 3}}, {0, []int{0, 1, 2, 3}},
		{4, []int{0, 2, 3, 4}}, {5, []int{0, 3, 4, 5}}, {6, []int{0, 4, 5, 6}}, {7, []int{4, 5, 6, 7}}} {
		l.read(step.read)
		if got := l.resident(); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("after block %d was read, %v are in the page cache, want %v", step.read, got, step.want)
		}
	}
}

// Whatever is read in whatever order, hot blocks stay, the limit holds when nothing is in flight, and the counts add up.
func TestHotBlocksStayAndTheLimitHolds(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		l := newLab(t, seed, 24, Config{LimitBytes: int64(4+rng.IntN(6)) * testBlock, ReadaheadBytes: int64(rng.IntN(2)) * testBlock})
		limit := int(l.cache.Counts().LimitBytes / testBlock)
		hot := rng.IntN(24)
		l.kernel.Queue(ring.Read(ring.NewToken(kindRead, 0, 0), l.file.Fd(), l.buffer, int64(hot)*testBlock))
		for l.kernel.InFlight() > 0 {
			if _, err := l.kernel.Wait(time.Second); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			l.read(rng.IntN(24))
			if !l.kernel.Resident(l.file.Fd(), int64(hot)*testBlock, testBlock) {
				t.Fatalf("seed %d: block %d was hot and is gone", seed, hot)
			}
		}
		for range 40 { // what could not be evicted when others came
			l.read(hot)
		}
		if n := len(l.resident()); n > limit+1 || l.cache.Close() != nil || l.file.refs != 1 {
			t.Errorf("seed %d: %d blocks are resident, the limit is %d and one is hot; %d references, want 1", seed, n, limit, l.file.refs)
		}
	}
}
