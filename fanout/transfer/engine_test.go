package transfer

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

var movingModes = []Mode{Splice, Send, Sendfile, Copy, Auto}

func TestEveryModeDeliversTheRangesByteForByte(t *testing.T) {
	source := newSource(t, 3<<20)
	for _, mode := range movingModes {
		for _, entries := range []int{4, 64} {
			t.Run(fmt.Sprintf("%v/ring-%d", mode, entries), func(t *testing.T) {
				withBench(t, benchConfig{testTransfer(mode), entries, nil}, func(b *bench) error {
					var results []<-chan error
					for i := range 20 {
						f, conn := b.connect()
						parts, want := b.response(f, source,
							[2]int{i * 1000, 1_500_000 + i*7777}, [2]int{0, 0}, [2]int{i * 4096, 300 + i}, [2]int{7, 65536}, [2]int{0, 0})
						results = append(results, reading(conn, want))
						b.engine.Start(f, parts)
					}
					if err := b.turnUntil(func() bool { return b.done == len(results) }); err != nil {
						return err
					}
					for i, r := range results {
						if err := <-r; err != nil {
							return fmt.Errorf("subscriber %d: %w", i, err)
						}
					}
					if source.held != 0 {
						return fmt.Errorf("%d holds on the segment are left", source.held)
					}
					return nil
				})
			})
		}
	}
}

func TestLedgerCountsTheCopyThatEachModeMakes(t *testing.T) {
	const n = 1 << 20
	source := newSource(t, n)
	type counts struct{ user, userSocket, cacheSocket, reference uint64 }
	for mode, want := range map[Mode]counts{
		Splice: {0, 0, 0, n}, Send: {0, 0, n, 0}, Sendfile: {0, 0, 0, n}, Copy: {n, n, 0, 0}, Auto: {0, 0, 0, n},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			withBench(t, benchConfig{testTransfer(mode), 16, nil}, func(b *bench) error {
				f, conn := b.connect()
				parts, bytes := b.response(f, source, [2]int{0, n})
				result := reading(conn, bytes)
				b.engine.Start(f, parts)
				if err := b.turnUntil(func() bool { return b.done == 1 }); err != nil {
					return err
				}
				l := b.engine.Ledger
				got := counts{l.CacheToUserBytes, l.UserToSocketBytes, l.CacheToSocketBytes, l.ByReferenceBytes}
				if got != want {
					return fmt.Errorf("counted %+v, want %+v", got, want)
				}
				if h := l.HeaderBytes; h != uint64(len(bytes)-n) {
					return fmt.Errorf("%d header bytes counted, want %d", h, len(bytes)-n)
				}
				return <-result
			})
		})
	}
}

// One pipe serves many subscribers even when most of them do not read: a stalled one loses its pipe, and gets its bytes
// from the page cache when it reads again.
func TestStalledSubscribersGiveUpTheirStage(t *testing.T) {
	source := newSource(t, 16<<20)
	for _, mode := range []Mode{Splice, Copy} {
		t.Run(mode.String(), func(t *testing.T) {
			config := testTransfer(mode)
			config.MaxPipes, config.CopyBytes = 1, config.ChunkBytes
			withBench(t, benchConfig{config, 16, nil}, func(b *bench) error {
				var stalled []func() <-chan error
				for range 5 {
					f, conn := b.connect()
					parts, want := b.response(f, source, [2]int{0, 16 << 20})
					b.engine.Start(f, parts)
					stalled = append(stalled, func() <-chan error { return reading(conn, want) })
				}
				if err := b.turnUntil(func() bool { return b.flows[4].Sent() > 0 }); err != nil {
					return err
				}
				f, conn := b.connect()
				parts, want := b.response(f, source, [2]int{4096, 8 << 20})
				result := reading(conn, want)
				b.engine.Start(f, parts)
				if err := b.turnUntil(func() bool { return b.done == 1 }); err != nil {
					return fmt.Errorf("a reading subscriber behind stalled ones: %w", err)
				}
				if err := <-result; err != nil {
					return err
				}
				if b.engine.pipes.reclaimed+b.engine.buffers.reclaimed == 0 {
					return errors.New("nobody was reclaimed: the test tests nothing")
				}
				var results []<-chan error
				for _, start := range stalled {
					results = append(results, start())
				}
				if err := b.turnUntil(func() bool { return b.done == 6 }); err != nil {
					return err
				}
				for i, r := range results {
					if err := <-r; err != nil {
						return fmt.Errorf("stalled subscriber %d: %w", i, err)
					}
				}
				return nil
			})
		})
	}
}

// faultyKernel lets the at-th operation of the flows fail with errno: a cancel of nothing goes to the kernel in its place, and its
// completion is changed on the way back.
type faultyKernel struct {
	ring.Kernel
	at     int
	errno  unix.Errno
	seen   int
	failed ring.Token
	out    []ring.Completion
}

func ofFlow(t ring.Token) bool { return t.Kind() >= KindWrite && t.Kind() <= KindPoll }

func (k *faultyKernel) Queue(op ring.Op) {
	if ofFlow(op.Token) {
		if k.seen == k.at {
			k.failed = op.Token
			op = ring.CancelToken(op.Token, ring.NewToken(0xfe, 0, 0)) // of nothing: it ends at once
		}
		k.seen++
	}
	k.Kernel.Queue(op)
}

func (k *faultyKernel) Wait(timeout time.Duration) ([]ring.Completion, error) {
	got, err := k.Kernel.Wait(timeout)
	k.out = k.out[:0]
	for _, c := range got {
		if k.failed != 0 && c.Token == k.failed {
			c, k.failed = ring.NewCompletion(c.Token, -int32(k.errno), false, -1), 0
		}
		k.out = append(k.out, c)
	}
	return k.out, err
}

// Each operation of a transfer fails in turn, with each kind of error, until a whole transfer has been gone through.
// Whatever fails, the other subscriber gets all its bytes, and no stage, hold or operation is left behind.
func TestFailureOfAnyOperationHurtsOneSubscriberAtMost(t *testing.T) {
	source := newSource(t, 1<<20)
	harmless := map[unix.Errno]bool{unix.EINTR: true, unix.Errno(512): true, unix.ECANCELED: true, unix.EAGAIN: true}
	errnos := []unix.Errno{unix.EINTR, unix.Errno(512), unix.ECANCELED, unix.EAGAIN, unix.EIO, unix.EPIPE, unix.EFAULT, unix.ENOMEM}
	for _, mode := range movingModes {
		for _, errno := range errnos {
			t.Run(fmt.Sprintf("%v/%d", mode, int(errno)), func(t *testing.T) {
				for at := 0; failOperation(t, source, mode, errno, at, harmless[errno]); at++ {
					if at > 500 {
						t.Fatal("a transfer of 1 MiB takes no more than 500 operations")
					}
				}
			})
		}
	}
}

// failOperation runs a transfer to two subscribers with operation at failing. It reports whether there was one.
func failOperation(t *testing.T, source *fileSource, mode Mode, errno unix.Errno, at int, harmless bool) bool {
	faulty := &faultyKernel{at: at, errno: errno}
	wrap := func(k ring.Kernel) ring.Kernel { faulty.Kernel = k; return faulty }
	config := testTransfer(mode)
	config.ChunkBytes = 200_000
	source.held = 0
	withBench(t, benchConfig{config, 16, wrap}, func(b *bench) error {
		var results []<-chan error
		for range 2 {
			f, conn := b.connect()
			parts, want := b.response(f, source, [2]int{100, 300_000}, [2]int{0, 1000})
			results = append(results, reading(conn, want))
			b.engine.Start(f, parts)
		}
		if err := b.turnUntil(func() bool { return b.done+len(b.failed) == 2 }); err != nil {
			return fmt.Errorf("operation %d: %w", at, err)
		}
		if len(b.failed) > 1 || harmless && len(b.failed) > 0 {
			return fmt.Errorf("operation %d: %d subscribers failed: %v", at, len(b.failed), errors.Join(b.failed...))
		}
		broken := 0
		for _, r := range results {
			if err := <-r; err != nil {
				broken++
			}
		}
		if broken != len(b.failed) {
			return fmt.Errorf("operation %d: %d subscribers got wrong bytes, %d were closed", at, broken, len(b.failed))
		}
		return nil
	})
	if source.held != 0 {
		t.Fatalf("operation %d: %d holds on the segment are left", at, source.held)
	}
	return faulty.seen > at
}

func TestSteadyStateAllocatesNothingPerResponse(t *testing.T) {
	source := newSource(t, 1<<20)
	for _, mode := range movingModes {
		t.Run(mode.String(), func(t *testing.T) {
			withBench(t, benchConfig{testTransfer(mode), 16, nil}, func(b *bench) error {
				f, conn := b.connect()
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				head := b.memory("header")
				send := func() {
					before := b.done
					parts := append(f.Parts(),
						Part{Header: head, Source: source, Pos: 5, Len: 300_000}, Part{Header: head, Source: source, Pos: 9, Len: 500})
					b.engine.Start(f, parts)
					for b.done == before {
						if err := b.turn(); err != nil {
							panic(err)
						}
					}
				}
				send()
				if n := testing.AllocsPerRun(50, send); n != 0 {
					return fmt.Errorf("a response allocates %v times", n)
				}
				return nil
			})
		})
	}
}
