package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// fileSource is a segment: a file of random bytes.
type fileSource struct {
	file    *os.File
	content []byte
	mapped  []byte
	held    int
}

func newSource(t *testing.T, size int) *fileSource {
	t.Helper()
	content := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(content)
	path := t.TempDir() + "/00000000000000000000.log"
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Munmap(mapped)
		_ = f.Close()
	})
	return &fileSource{file: f, content: content, mapped: mapped}
}

func (s *fileSource) Fd() int              { return int(s.file.Fd()) }
func (s *fileSource) Map() ([]byte, error) { return s.mapped, nil }
func (s *fileSource) Retain()              { s.held++ }
func (s *fileSource) Release()             { s.held-- }
func (s *fileSource) Held() bool           { return true }
func (s *fileSource) Size() int64          { return int64(len(s.content)) }

// bench is an engine with flows to real TCP sockets, all on one locked thread.
type bench struct {
	t      *testing.T
	kernel ring.Kernel
	engine *Engine
	arena  *ring.Arena
	flows  []*Flow
	done   int
	failed []error
	onDone func(f *Flow)
}

func (b *bench) FlowDone(f *Flow) {
	b.done++
	if b.onDone != nil {
		b.onDone(f)
	}
}

func (b *bench) FlowFailed(f *Flow, err error) {
	b.failed = append(b.failed, err)
	b.engine.Abort(f)
	b.kernel.Shutdown(f.Socket)
	b.kernel.Queue(ring.Cancel(ring.NewToken(0xee, 0, 0), f.Socket))
}

type benchConfig struct {
	transfer Config
	ring     int
	// wrap may put a kernel of the test's in front of the real one.
	wrap func(ring.Kernel) ring.Kernel
}

func testTransfer(mode Mode) Config {
	return Config{Mode: mode, PipeBytes: 64 << 10, MaxPipes: 4, ChunkBytes: 100_001, CopyBytes: 400_004, SpliceFromBytes: 16 << 10}
}

// withBench runs f on a locked thread with a ring and an engine, and checks that nothing is left at the end.
func withBench(t *testing.T, c benchConfig, f func(b *bench) error) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- runBench(t, c, f)
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func runBench(t *testing.T, c benchConfig, f func(b *bench) error) (err error) {
	r, err := ring.New(ring.Config{Entries: c.ring, Workers: 4, RecvBuffers: 1, RecvBufferBytes: 4096})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b := &bench{t: t, kernel: r}
	if c.wrap != nil {
		b.kernel = c.wrap(r)
	}
	if b.arena, err = ring.NewArena(1 << 20); err != nil {
		return err
	}
	if b.engine, err = NewEngine(b.kernel, c.transfer, b); err != nil {
		return err
	}
	if err := f(b); err != nil {
		return err
	}
	for _, fl := range b.flows {
		if !fl.aborted {
			b.engine.Abort(fl)
			b.kernel.Shutdown(fl.Socket)
			b.kernel.Queue(ring.Cancel(ring.NewToken(0xee, 0, 0), fl.Socket))
		}
	}
	if err := b.turnUntil(func() bool { return b.kernel.InFlight() == 0 }); err != nil {
		return fmt.Errorf("winding up: %w", err)
	}
	return b.engine.Close()
}

// turnUntil turns the loop until ready, or fails after a while.
func (b *bench) turnUntil(ready func() bool) error {
	deadline := time.Now().Add(60 * time.Second)
	for !ready() {
		if time.Now().After(deadline) {
			return fmt.Errorf("still waiting: %d done, %d in flight, pipes %+v", b.done, b.kernel.InFlight(), b.engine.Pipes())
		}
		if err := b.turn(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) turn() error {
	timeout := 100 * time.Millisecond
	if b.engine.Pending() {
		timeout = 0
	}
	got, err := b.kernel.Wait(timeout)
	if err != nil {
		return err
	}
	for _, c := range got {
		switch {
		case c.Token.Kind() == KindAdvice:
			b.engine.PageCache.Advised(c)
		case ofFlow(c.Token):
			b.engine.Complete(b.flows[c.Token.Slot()], c)
		}
	}
	b.engine.Turn(b.kernel.Now())
	return nil
}

// connect adds a flow and returns the subscriber's end of its connection.
func (b *bench) connect() (*Flow, *net.TCPConn) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.t.Error(err)
		runtime.Goexit()
	}
	defer func() { _ = l.Close() }()
	client, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		b.t.Error(err)
		runtime.Goexit()
	}
	server, err := l.AcceptTCP()
	if err != nil {
		b.t.Error(err)
		runtime.Goexit()
	}
	socket := ownDescriptor(b.t, server)
	_ = server.Close()
	b.t.Cleanup(func() {
		_ = client.Close()
		_ = unix.Close(socket)
	})
	f := new(Flow)
	f.Open(ring.NewToken(0, uint32(len(b.flows)), 1), socket, ring.MessageAt(b.arena.Take(ring.MessageBytes)))
	b.flows = append(b.flows, f)
	return f, client
}

// memory puts bytes where the kernel may read them.
func (b *bench) memory(text string) []byte {
	m := b.arena.Take(len(text))
	copy(m, text)
	return m
}

// response is a list of parts with the bytes that a subscriber must get for them.
func (b *bench) response(f *Flow, s *fileSource, ranges ...[2]int) (parts []Part, want []byte) {
	parts = f.Parts()
	for i, r := range ranges {
		head := fmt.Sprintf("<header %d>", i)
		part := Part{Header: b.memory(head)}
		want = append(want, head...)
		if r[1] > 0 {
			s.held++
			part.Source, part.Pos, part.Len = s, int64(r[0]), int64(r[1])
			want = append(want, s.content[r[0]:r[0]+r[1]]...)
		}
		parts = append(parts, part)
	}
	return parts, want
}

// reading reads n bytes in the background and reports the first difference from want.
func reading(conn *net.TCPConn, want []byte) <-chan error {
	result := make(chan error, 1)
	go func() {
		got := make([]byte, len(want))
		_ = conn.SetReadDeadline(time.Now().Add(60 * time.Second))
		if n, err := io.ReadFull(conn, got); err != nil {
			result <- fmt.Errorf("%d of %d bytes came: %w", n, len(want), err)
			return
		}
		if !bytes.Equal(got, want) {
			result <- errors.New("the bytes are not those of the segment")
			return
		}
		result <- nil
	}()
	return result
}

// ownDescriptor is a non-blocking duplicate of a connection's descriptor. os.File.Fd would make it a blocking one, on
// which a splice holds a worker of the kernel for as long as the peer does not read.
func ownDescriptor(t *testing.T, conn *net.TCPConn) int {
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	socket := -1
	if cerr := raw.Control(func(fd uintptr) { socket, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil || err != nil {
		t.Error(cerr, err)
		runtime.Goexit()
	}
	if err := unix.SetNonblock(socket, true); err != nil {
		t.Error(err)
	}
	return socket
}
