package ring

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testConfig(entries int) Config {
	return Config{Entries: entries, Workers: 2, RecvBuffers: 4, RecvBufferBytes: 4096}
}

// onRing runs f with a ring, on a thread of its own that ends with it.
func onRing(t *testing.T, config Config, f func(r *Ring) error) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		r, err := New(config)
		if err != nil {
			result <- err
			return
		}
		err = f(r)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		result <- err
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

// await waits for n completions.
func await(r *Ring, n int) ([]Completion, error) {
	var all []Completion
	deadline := time.Now().Add(20 * time.Second)
	for len(all) < n {
		if time.Now().After(deadline) {
			return all, fmt.Errorf("%d of %d completions came", len(all), n)
		}
		got, err := r.Wait(time.Second)
		if err != nil {
			return all, err
		}
		all = append(all, got...)
	}
	return all, nil
}

func socketPair(t *testing.T) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds
}

func TestTokenComesBackAsItWentIn(t *testing.T) {
	for _, want := range []struct {
		kind       uint8
		slot, life uint32
	}{{0, 0, 0}, {255, 1<<32 - 1, MaxGeneration}, {7, 12345, 1}, {1, 1 << 31, 1 << 23}} {
		tok := NewToken(want.kind, want.slot, want.life)
		if tok.Kind() != want.kind || tok.Slot() != want.slot || tok.Generation() != want.life {
			t.Errorf("%+v became %v", want, tok)
		}
	}
	if got := NewToken(1, 2, MaxGeneration+1).Generation(); got != 0 {
		t.Errorf("the generation after the last is %d, want 0", got)
	}
}

// A ring that cannot be made says why, in terms that its owner can act on.
func TestEachReasonAgainstARingHasItsOwnError(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		unix.ENOSYS: ErrNoIoUring, unix.EPERM: ErrForbidden, unix.EACCES: ErrForbidden, unix.EINVAL: ErrTooOld, unix.ENOMEM: ErrNoMemory,
		unix.EMFILE: unix.EMFILE,
	} {
		if err := setupError(errno); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", errno, err, want)
		}
	}
}

func TestTinyRingCompletesEverythingInOrderOfItsBacklog(t *testing.T) {
	const ops = 1000
	onRing(t, testConfig(4), func(r *Ring) error {
		for i := range uint32(ops) {
			r.Queue(CancelToken(NewToken(1, i, 0), NewToken(9, 0, 0))) // of nothing: it ends at once
		}
		if r.InFlight() != ops {
			return fmt.Errorf("%d in flight, want %d", r.InFlight(), ops)
		}
		got, err := await(r, ops)
		if err != nil {
			return err
		}
		for i, c := range got {
			if c.Token.Slot() != uint32(i) {
				return fmt.Errorf("completion %d is of operation %d", i, c.Token.Slot())
			}
		}
		if r.InFlight() != 0 {
			return fmt.Errorf("%d still in flight", r.InFlight())
		}
		if s := r.Stats(); s.QueuedWhenFull != ops-4 && s.QueuedWhenFull != ops-3 {
			return fmt.Errorf("%d were counted as queued when the ring was full", s.QueuedWhenFull)
		}
		return nil
	})
}

// A recycled entry carries the fields of its last use. With one left in place, the kernel refuses a cancel or a poll.
func TestRecycledEntriesAreClean(t *testing.T) {
	onRing(t, testConfig(1), func(r *Ring) error {
		fds := socketPair(t)
		arena, err := NewArena(4096)
		if err != nil {
			return err
		}
		defer func() { _ = arena.Close() }()
		buf := arena.Take(64)
		for round := range 8 {
			r.Queue(Send(NewToken(1, 0, 0), fds[0], buf[:4], unix.MSG_DONTWAIT|unix.MSG_WAITALL))
			r.Queue(Poll(NewToken(2, 0, 0), fds[0], unix.POLLOUT))
			r.Queue(Cancel(NewToken(3, 0, 0), fds[1]))
			got, err := await(r, 3)
			if err != nil {
				return err
			}
			for _, c := range got {
				if c.Err() == unix.EINVAL {
					return fmt.Errorf("round %d: %v was refused", round, c.Token)
				}
			}
			if _, err := unix.Read(fds[1], make([]byte, 64)); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestRecvEndsWhenBuffersRunOutAndGoesOnWhenTheyAreBack(t *testing.T) {
	onRing(t, testConfig(8), func(r *Ring) error {
		fds := socketPair(t)
		tok := NewToken(1, 3, 9)
		r.Queue(Recv(tok, fds[0]))
		payload := bytes.Repeat([]byte("0123456789abcdef"), 5*4096/16)
		if _, err := unix.Write(fds[1], payload); err != nil {
			return err
		}
		var received []byte
		sawENOBUFS := false
		for len(received) < len(payload) {
			got, err := await(r, 1)
			if err != nil {
				return fmt.Errorf("after %d bytes: %w", len(received), err)
			}
			for _, c := range got {
				if c.Err() == unix.ENOBUFS {
					sawENOBUFS = true
				} else if c.Result > 0 {
					received = append(received, r.Buffer(c)...)
				}
			}
			for _, c := range got {
				if c.HasBuffer() {
					r.ReleaseBuffer(c)
				}
				if !c.More() {
					r.Queue(Recv(tok, fds[0]))
				}
			}
		}
		if !bytes.Equal(received, payload) {
			return errors.New("the bytes came back different")
		}
		if !sawENOBUFS || r.Stats().NoBuffers == 0 {
			return errors.New("five buffers' worth went through four buffers without running out: the test tests nothing")
		}
		r.Queue(CancelToken(NewToken(2, 0, 0), tok))
		if _, err := await(r, 2); err != nil {
			return err
		}
		if r.InFlight() != 0 {
			return fmt.Errorf("%d in flight after the cancel", r.InFlight())
		}
		return nil
	})
}

func TestSpliceCarriesAFileThroughAPipe(t *testing.T) {
	onRing(t, testConfig(8), func(r *Ring) error {
		content := bytes.Repeat([]byte("page cache "), 3000)
		path := t.TempDir() + "/segment"
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		pipe, err := r.OpenPipe(64 << 10)
		if err != nil {
			return err
		}
		defer r.ClosePipe(pipe)
		if pipe.Slots < 16 {
			return fmt.Errorf("a pipe of 64 KiB has %d slots", pipe.Slots)
		}
		fds := socketPair(t)
		r.Queue(SpliceFromFile(NewToken(1, 0, 0), int(f.Fd()), 100, pipe.W, uint32(len(content)-100)))
		got, err := await(r, 1)
		if err != nil {
			return err
		}
		n := int(got[0].Result)
		if n <= 0 {
			return fmt.Errorf("file to pipe: %v", got[0].Err())
		}
		r.Queue(SpliceToSocket(NewToken(2, 0, 0), pipe.R, fds[0], uint32(n), 0))
		if got, err = await(r, 1); err != nil {
			return err
		}
		if int(got[0].Result) != n {
			return fmt.Errorf("pipe to socket moved %d of %d: %v", got[0].Result, n, got[0].Err())
		}
		buf := make([]byte, n)
		if read, err := unix.Read(fds[1], buf); err != nil || read != n || !bytes.Equal(buf, content[100:100+n]) {
			return fmt.Errorf("%d of %d bytes arrived, or others: %v", read, n, err)
		}
		return nil
	})
}

func TestWakeFromAnotherGoroutineEndsAWait(t *testing.T) {
	onRing(t, testConfig(4), func(r *Ring) error {
		for range 100 {
			go r.Wake()
			start := time.Now()
			if _, err := r.Wait(30 * time.Second); err != nil {
				return err
			}
			if time.Since(start) > 20*time.Second {
				return errors.New("the wait went on")
			}
		}
		if r.InFlight() != 0 {
			return fmt.Errorf("the wake-up counts as %d of the owner's operations", r.InFlight())
		}
		return nil
	})
}

func TestWaitTimesOut(t *testing.T) {
	onRing(t, testConfig(4), func(r *Ring) error {
		start := r.Now()
		got, err := r.Wait(20 * time.Millisecond)
		if err != nil || len(got) != 0 {
			return fmt.Errorf("%d completions, %v", len(got), err)
		}
		if waited := r.Now() - start; waited < 19*time.Millisecond {
			return fmt.Errorf("it waited %v of 20 ms", waited)
		}
		return nil
	})
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	onRing(t, testConfig(16), func(r *Ring) error {
		arena, err := NewArena(4096)
		if err != nil {
			return err
		}
		defer func() { _ = arena.Close() }()
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if _, err := f.Write(make([]byte, 8192)); err != nil {
			return err
		}
		fds, buf := socketPair(t), arena.Take(512)
		message := MessageAt(arena.Take(MessageBytes))
		drain := make([]byte, 4096)
		turn := func() {
			message.Reset()
			message.Add(buf)
			r.Queue(Send(NewToken(1, 0, 0), fds[0], buf, 0))
			r.Queue(Sendmsg(NewToken(1, 0, 0), fds[0], message, 0))
			for done := 0; done < 2; {
				got, err := r.Wait(time.Second)
				if err != nil {
					panic(err)
				}
				done += len(got)
			}
			r.Resident(int(f.Fd()), 0, 8192)
			r.Sendfile(fds[0], int(f.Fd()), 0, 1024)
			_, _ = unix.Read(fds[1], drain)
		}
		if n := testing.AllocsPerRun(100, turn); n != 0 {
			return fmt.Errorf("a turn allocates %v times", n)
		}
		return nil
	})
}

func TestClosingLeavesNothingRegistered(t *testing.T) {
	// A thread has 16 places for registered rings; more rings than that, one after another on one thread, find out
	// whether each gave its own back.
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		for i := range 20 {
			r, err := New(testConfig(4))
			if err == nil {
				err = r.Close()
			}
			if err != nil {
				result <- fmt.Errorf("ring %d: %w", i, err)
				return
			}
		}
		result <- nil
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func TestSizesTheKernelWouldRefuseAreRefusedWithTheLimits(t *testing.T) {
	for _, n := range []int{0, -1, MaxEntries + 1} {
		if _, err := RoundEntries(n); err == nil {
			t.Errorf("a ring of %d entries was not refused", n)
		}
	}
	for n, want := range map[int]int{1: 1, 2: 2, 3: 4, 1000: 1024, MaxEntries: MaxEntries} {
		if got, err := RoundEntries(n); err != nil || got != want {
			t.Errorf("%d was rounded to %d, %v; want %d", n, got, err, want)
		}
	}
	bad := testConfig(8)
	bad.CompletionEntries = 4
	if _, err := bad.withDefaults(); err == nil {
		t.Error("a completion queue smaller than the ring was not refused")
	}
}

func TestSetupErrorsNameTheirRemedy(t *testing.T) {
	for errno, want := range map[error]error{
		unix.ENOSYS: ErrNoIoUring, unix.EPERM: ErrForbidden, unix.EINVAL: ErrTooOld, unix.ENOMEM: ErrNoMemory,
	} {
		if got := setupError(errno); !errors.Is(got, want) {
			t.Errorf("%v gave %v", errno, got)
		}
	}
}
