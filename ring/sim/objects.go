package sim

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"oneplusn/ring"
)

// pageBytes is the size of a page of the simulated page cache.
const pageBytes = 4096

// File is a segment: content that is committed and never changes.
type File struct {
	fd      int
	content []byte // outside the Go heap, as a mapping would be
	warm    []bool // by page
	arena   *ring.Arena
}

// NewFile makes a file of random bytes, none of them in the page cache unless warm is set.
func (k *Kernel) NewFile(size int, warm bool) (*File, error) {
	arena, err := ring.NewArena(size)
	if err != nil {
		return nil, err
	}
	f := &File{content: arena.Take(size), warm: slices.Repeat([]bool{warm}, (size+pageBytes-1)/pageBytes), arena: arena}
	for i := range f.content {
		f.content[i] = byte(k.random.Uint32())
	}
	f.fd = k.open(f)
	k.files = append(k.files, f)
	return f, nil
}

// Fd is the file's descriptor.
func (f *File) Fd() int { return f.fd }

// Content is the file as a mapping of it.
func (f *File) Content() []byte { return f.content }

// Close gives the content's memory back.
func (f *File) Close() error { return f.arena.Close() }

// Chill drops the file from the page cache.
func (f *File) Chill() { clear(f.warm) }

func (f *File) pages(offset, n int64) []bool {
	if offset < 0 || n < 1 || offset+n > int64(len(f.content)) {
		panic(fmt.Sprintf("sim: %d bytes at %d are not a range of a file of %d", n, offset, len(f.content)))
	}
	return f.warm[offset/pageBytes : min((offset+n+pageBytes-1)/pageBytes, int64(len(f.warm)))]
}

func (f *File) resident(offset, n int64) bool { return !slices.Contains(f.pages(offset, n), false) }

func (f *File) read(offset, n int64) {
	for i := range f.pages(offset, n) {
		f.warm[offset/pageBytes+int64(i)] = true
	}
}

// piece is bytes on their way: a reference, not a copy, as splice has it.
type piece []byte

// pipe holds pieces, each of which lies in one page and takes one slot.
type pipe struct {
	slots  int
	pieces []piece
}

func (p *pipe) bytes() (n int) {
	for _, piece := range p.pieces {
		n += len(piece)
	}
	return n
}

// Socket is a connection, seen from the side under test.
type Socket struct {
	kernel *Kernel
	fd     int
	queued []piece
	space  int
	dead   bool // shut down, or reset by the peer
	peer   Peer
}

// Peer is the reader at the other end of a socket.
type Peer struct {
	// Received is called with the bytes, in order.
	Received func(b []byte)
	// BytesPerTick is the most that it reads at once.
	BytesPerTick int
	// IdleUntil is the time at which it begins to read.
	IdleUntil time.Duration
	// ResetAfter is the number of bytes that it takes before it resets the connection; negative for never.
	ResetAfter int
}

// NewSocket makes a connection to a peer.
func (k *Kernel) NewSocket(peer Peer) *Socket {
	s := &Socket{kernel: k, space: k.options.SendBufferBytes, peer: peer}
	s.fd = k.open(s)
	k.sockets = append(k.sockets, s)
	return s
}

// Fd is the socket's descriptor.
func (s *Socket) Fd() int { return s.fd }

// Dead reports whether nothing more will reach the peer.
func (s *Socket) Dead() bool { return s.dead }

func (k *Kernel) open(object any) (fd int) {
	fd = k.nextFD
	k.nextFD++
	k.objects[fd] = object
	return fd
}

// peersRead lets every peer take some of what is in its socket.
func (k *Kernel) peersRead() {
	for _, s := range k.sockets {
		if !s.dead && k.now >= s.peer.IdleUntil {
			s.peerReads()
		}
	}
}

func (s *Socket) peerReads() {
	left := 1 + s.kernel.random.IntN(s.peer.BytesPerTick)
	for left > 0 && len(s.queued) > 0 {
		n := min(left, len(s.queued[0]))
		if s.peer.ResetAfter >= 0 {
			n = min(n, s.peer.ResetAfter)
		}
		s.peer.Received(s.queued[0][:n])
		s.space += n
		left -= n
		if s.queued[0] = s.queued[0][n:]; len(s.queued[0]) == 0 {
			s.queued = s.queued[1:]
		}
		if s.peer.ResetAfter >= 0 {
			if s.peer.ResetAfter -= n; s.peer.ResetAfter == 0 {
				s.dead, s.queued = true, nil
				return
			}
		}
	}
}

// put queues bytes for the peer.
func (s *Socket) put(b []byte) {
	if len(b) == 0 || len(b) > s.space {
		panic(fmt.Sprintf("sim: %d bytes are put into a socket with room for %d", len(b), s.space))
	}
	s.queued = append(s.queued, piece(b))
	s.space -= len(b)
}

// OpenPipe implements [ring.Kernel].
func (k *Kernel) OpenPipe(wantBytes int) (ring.Pipe, error) {
	if k.options.PipesMax > 0 && k.pipes == k.options.PipesMax {
		return ring.Pipe{}, fmt.Errorf("sim: pipe2: %w", syscall.EMFILE)
	}
	k.pipes++
	p := &pipe{slots: max(wantBytes/pageBytes, 1)}
	return ring.Pipe{R: k.open(p), W: k.open(p), Slots: p.slots}, nil
}

// ClosePipe implements [ring.Kernel].
func (k *Kernel) ClosePipe(ends ring.Pipe) {
	p, ok := k.objects[ends.R].(*pipe)
	if !ok {
		k.violate("a pipe is closed that is not open")
		return
	}
	for _, o := range k.pending {
		if k.pipeOf(o) == p {
			k.violate("a pipe is closed while %v uses it", o.Token)
		}
	}
	k.pipes--
	delete(k.objects, ends.R)
	delete(k.objects, ends.W)
}

// OpenPipes is the number of pipes that are open.
func (k *Kernel) OpenPipes() int { return k.pipes }

// file is the file that a descriptor names. It reports a descriptor that names none, and returns nil.
func (k *Kernel) file(fd int) *File {
	f, ok := k.objects[fd].(*File)
	if !ok {
		k.violate("descriptor %d is used as a file and is no open one", fd)
	}
	return f
}

// Resident implements [ring.Kernel].
func (k *Kernel) Resident(file int, offset, n int64) bool {
	f := k.file(file)
	return f != nil && f.resident(offset, n)
}

// Absent implements [ring.Kernel].
func (k *Kernel) Absent(file int, offset, n int64) bool {
	f := k.file(file)
	return f != nil && !slices.Contains(f.pages(offset, n), true)
}

// Shutdown implements [ring.Kernel].
func (k *Kernel) Shutdown(socket int) {
	s, ok := k.objects[socket].(*Socket)
	if !ok {
		k.violate("descriptor %d is shut down and is no open socket", socket)
		return
	}
	s.dead, s.queued = true, nil
}

// CloseFD implements [ring.Kernel].
func (k *Kernel) CloseFD(fd int) {
	if _, open := k.objects[fd]; !open {
		k.violate("descriptor %d is closed and is not open", fd)
	}
	for _, o := range k.pending {
		if int(o.FD) == fd {
			k.violate("descriptor %d is closed while %v uses it", fd, o.Token)
		}
	}
	delete(k.objects, fd)
}
