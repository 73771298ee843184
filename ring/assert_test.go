package ring

import (
	"testing"

	"golang.org/x/sys/unix"
)

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

// What no kernel could do is a mistake of the program: it does not come back as an errno, which would look like a fault of
// the peer or the disk.
func TestMistakesOfTheProgramPanic(t *testing.T) {
	arena, err := NewArena(4096)
	if err != nil {
		t.Fatal(err)
	}
	b, m := arena.Take(64), MessageAt(arena.Take(MessageBytes))
	for name, op := range map[string]Op{
		"nothing":                   {},
		"an unknown opcode":         {Code: opcodes},
		"a send of no bytes":        Send(1, 5, b[:0], 0),
		"a send of nothing":         Send(1, 5, nil, 0),
		"a send to no socket":       Send(1, -1, b, 0),
		"a read before the start":   Read(1, 5, b, -1),
		"a splice of no bytes":      SpliceToSocket(1, 5, 6, 0, 0),
		"a splice from no file":     SpliceFromFile(1, -1, 0, 5, 1),
		"a splice of 2 GiB":         SpliceFromFile(1, 5, 0, 6, 1<<31),
		"a splice before a file":    SpliceFromFile(1, 5, -2, 6, 1),
		"a poll for nothing":        Poll(1, 5, 0),
		"an fsync of no file":       Fdatasync(1, -1),
		"advice about no bytes":     Fadvise(1, 5, 0, 0, unix.FADV_DONTNEED),
		"advice before the start":   Fadvise(1, 5, -1, 1, unix.FADV_DONTNEED),
		"a cancel of no connection": Cancel(1, -1),
	} {
		mustPanic(t, name, op.Assert)
	}
	for _, op := range []Op{Send(1, 5, b, 0), Read(1, 5, b, 0), SpliceToSocket(1, 5, 6, 1, 0), SpliceFromFile(1, 5, 0, 6, 1<<31-1),
		Poll(1, 5, unix.POLLOUT), Fdatasync(1, 0), Cancel(1, 5), CancelToken(1, 2), Recv(1, 5), Fadvise(1, 5, 0, 1, unix.FADV_NORMAL)} {
		op.Assert()
	}
	mustPanic(t, "a message of no pieces", func() { Sendmsg(1, 5, m, 0) })
	mustPanic(t, "a piece of no bytes", func() { m.Add(b[:0]) })
	mustPanic(t, "memory beyond the arena", func() { arena.Take(4096) })
	if err := arena.Close(); err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "memory of a closed arena", func() { arena.Take(1) })
	mustPanic(t, "a slice of a closed arena", func() { arena.Slice(0, 1) })
}

func TestBufferIsReleasedOnceAndNotReadAfterwards(t *testing.T) {
	onRing(t, testConfig(4), func(r *Ring) error {
		fds := socketPair(t)
		r.Queue(Recv(NewToken(1, 0, 0), fds[0]))
		if _, err := unix.Write(fds[1], []byte("hello")); err != nil {
			return err
		}
		got, err := await(r, 1)
		if err != nil {
			return err
		}
		c := got[0]
		if string(r.Buffer(c)) != "hello" {
			t.Errorf("received %q", r.Buffer(c))
		}
		r.ReleaseBuffer(c)
		mustPanic(t, "releasing a buffer twice", func() { r.ReleaseBuffer(c) })
		mustPanic(t, "reading a buffer that was released", func() { r.Buffer(c) })
		mustPanic(t, "releasing a buffer that never came", func() { r.ReleaseBuffer(NewCompletion(1, 5, false, 2)) })
		mustPanic(t, "releasing the buffer of a completion without", func() { r.ReleaseBuffer(NewCompletion(1, 5, false, -1)) })
		r.Queue(Cancel(NewToken(2, 0, 0), fds[0]))
		_, err = await(r, 2)
		return err
	})
}

func TestClosedRingIsNotUsed(t *testing.T) {
	onRing(t, testConfig(4), func(r *Ring) error {
		if err := r.Close(); err != nil {
			return err
		}
		mustPanic(t, "queueing on a closed ring", func() { r.Queue(CancelToken(1, 2)) })
		mustPanic(t, "waiting on a closed ring", func() { _, _ = r.Wait(0) })
		r.Wake()
		return nil
	})
}
