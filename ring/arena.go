package ring

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Arena is memory outside the Go heap, for everything that the kernel reads or writes on our behalf: headers, message
// descriptors, receive buffers, timespecs. Pages that are never touched cost nothing.
type Arena struct {
	mem  []byte
	used int
}

// NewArena maps size bytes, rounded up to pages.
func NewArena(size int) (*Arena, error) {
	if size <= 0 {
		return nil, fmt.Errorf("ring: an arena of %d bytes was asked for, it must be at least 1", size)
	}
	page := unix.Getpagesize()
	size = (size + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("ring: mapping %d bytes of buffers: %w", size, err)
	}
	return &Arena{mem: mem}, nil
}

// Take carves n bytes off, aligned to 64 bytes so that no two users share a cache line. It panics when the arena is
// exhausted: its size is the sum of all Takes, so that is a bug.
func (a *Arena) Take(n int) []byte {
	const align = 64
	start := (a.used + align - 1) &^ (align - 1)
	if n < 1 || start+n > len(a.mem) {
		panic(fmt.Sprintf("ring: an arena of %d bytes (0 when it is closed) has %d left, %d were asked for", len(a.mem), len(a.mem)-start, n))
	}
	a.used = start + n
	return a.mem[start : start+n : start+n]
}

// Slice is the n bytes at offset start, for owners that lay the arena out themselves instead of by Take.
func (a *Arena) Slice(start, n int) []byte { return a.mem[start : start+n : start+n] }

// Close unmaps the memory. Nothing may use it afterwards, the kernel least of all.
func (a *Arena) Close() error {
	if a.mem == nil {
		return nil
	}
	err := unix.Munmap(a.mem)
	a.mem = nil
	return err
}

// MessagePieces is the most pieces that one [Message] can carry. Sixteen pieces are eight partitions of a fetch
// response, header and range each; a longer response goes out in several messages.
const MessagePieces = 16

// Message is a struct msghdr with its iovec, laid out for the kernel. It lives in memory taken from an [Arena] by
// [MessageAt].
type Message struct {
	header syscall.Msghdr
	pieces [MessagePieces]syscall.Iovec
}

// MessageBytes is the memory that one [Message] takes.
const MessageBytes = int(unsafe.Sizeof(Message{}))

// MessageAt places a message at the start of b, which lies outside the Go heap and is at least [MessageBytes] long.
func MessageAt(b []byte) *Message {
	if len(b) < MessageBytes {
		panic("ring: too little memory for a message")
	}
	m := (*Message)(unsafe.Pointer(unsafe.SliceData(b)))
	m.Reset()
	return m
}

// Reset drops all pieces. The message must not be in flight.
func (m *Message) Reset() {
	*m = Message{}
	m.header.Iov = &m.pieces[0]
}

// Add appends a piece, which lies outside the Go heap. It reports false when the message is full.
func (m *Message) Add(b []byte) bool {
	if len(b) == 0 {
		panic("ring: a piece of a message has at least one byte")
	}
	n := int(m.header.Iovlen)
	if n == MessagePieces {
		return false
	}
	m.pieces[n].Base = unsafe.SliceData(b)
	m.pieces[n].SetLen(len(b))
	m.header.Iovlen = uint64(n + 1)
	return true
}

// Len is the number of pieces.
func (m *Message) Len() int { return int(m.header.Iovlen) }

// Piece is the i-th piece, for simulated kernels.
func (m *Message) Piece(i int) []byte {
	return unsafe.Slice(m.pieces[i].Base, m.pieces[i].Len)
}
