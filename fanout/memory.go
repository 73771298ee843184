package fanout

import (
	"fmt"
	"math/bits"
	"unsafe"

	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

const (
	// slabBytes is the off-heap memory that each connection owns: its message descriptor and the header bytes of its
	// response. Ten thousand connections that have all been answered once hold 20 MiB.
	slabBytes = 2048
	// minFrameBytes is the smallest request buffer: a fetch of one partition needs about 100 bytes.
	minFrameBytes = 512
	// keptFrameBytes is the largest request buffer that an idle connection keeps.
	keptFrameBytes = 4096
)

// The slab must have room for the message and for a header of useful size.
const _ = uint(slabBytes - ring.MessageBytes - 1024)

// frameMemory lends request buffers: heap memory, which the kernel never sees, in powers of two, within one budget.
type frameMemory struct {
	limit, used int64
	free        [32][][]byte
	freeBytes   int64
}

// take lends a buffer of at least n bytes. ok is false when the budget does not allow it.
func (m *frameMemory) take(n int) (b []byte, ok bool) {
	class := bits.Len(uint(max(n, minFrameBytes) - 1))
	size := int64(1) << class
	if m.used+size > m.limit {
		return nil, false
	}
	m.used += size
	if list := m.free[class]; len(list) > 0 {
		b = list[len(list)-1]
		m.free[class] = list[:len(list)-1]
		m.freeBytes -= size
		return b, true
	}
	return make([]byte, size), true
}

// give takes a buffer back. A quarter of the budget is kept for reuse, the rest goes to the garbage collector.
func (m *frameMemory) give(b []byte) {
	if b == nil {
		return
	}
	size := int64(cap(b))
	m.used -= size
	if m.freeBytes+size > m.limit/4 {
		return
	}
	class := bits.Len(uint(size - 1))
	m.free[class] = append(m.free[class], b[:size])
	m.freeBytes += size
}

// keptListBytes is what the lists that requests are parsed into may take without being charged: it is part of what a
// connection costs.
const keptListBytes = 16 << 10

// chargedListBytes is what they may take between two requests, being charged: with it a consumer of ten thousand
// partitions is served without an allocation.
const chargedListBytes = 1 << 20

// listBytes is what the connection's lists of partitions take.
func (c *conn) listBytes() int64 {
	const fetch, forgotten = int64(unsafe.Sizeof(wire.FetchPartition{})), int64(unsafe.Sizeof(wire.ForgottenPartition{}))
	const produce, produced = int64(unsafe.Sizeof(wire.ProducePartition{})), int64(unsafe.Sizeof(produceResult{}))
	const wait = int64(unsafe.Sizeof(waitNode{}))
	return fetch*int64(cap(c.fetch.Partitions)) + forgotten*int64(cap(c.fetch.Forgotten)) +
		produce*int64(cap(c.produce.Partitions)) + produced*int64(cap(c.produced)) + wait*int64(cap(c.waits))
}

// chargeLists takes what the connection's lists have grown to from the request memory. They have been made by then; what
// one request can add is bounded by [wire.MaxPartitions].
func (b *Broker) chargeLists(c *conn) error {
	grown := max(c.listBytes()-keptListBytes, 0) - c.charged
	if grown <= 0 {
		return nil
	}
	if b.frames.used+grown > b.frames.limit {
		return fmt.Errorf("fanout: a request of %d partitions needs %d bytes, %d of %d bytes of request memory are taken: raise --request-memory",
			max(len(c.fetch.Partitions), len(c.produce.Partitions)), grown, b.frames.used, b.frames.limit)
	}
	b.frames.used += grown
	c.charged += grown
	return nil
}

// dropLists lets go of lists that are larger than every connection may keep. Nothing may wait on them.
func (b *Broker) dropLists(c *conn) {
	if c.listBytes() > keptListBytes {
		c.fetch, c.produce = wire.FetchRequest{}, wire.ProduceRequest{}
		c.produced, c.waits = nil, nil
	}
	b.frames.used -= c.charged
	c.charged = 0
}

// blockMemory lends memory outside the Go heap for responses that do not fit a connection's slab, in powers of two.
type blockMemory struct {
	limit, mapped int64
	free          [40][]*ring.Arena
	mem           map[*ring.Arena][]byte
}

// block is a response's memory.
type block struct {
	arena *ring.Arena
	bytes []byte
	class int
}

func (m *blockMemory) take(n int) (*block, error) {
	class := max(bits.Len(uint(n-1)), 13)
	size := int64(1) << class
	if list := m.free[class]; len(list) > 0 {
		a := list[len(list)-1]
		m.free[class] = list[:len(list)-1]
		return &block{a, m.mem[a], class}, nil
	}
	if m.mapped+size > m.limit {
		m.dropFree()
	}
	if m.mapped+size > m.limit {
		return nil, fmt.Errorf("fanout: a response needs %d bytes, %d of %d bytes of response memory are taken: raise --response-memory",
			size, m.mapped, m.limit)
	}
	a, err := ring.NewArena(int(size))
	if err != nil {
		return nil, err
	}
	if m.mem == nil {
		m.mem = make(map[*ring.Arena][]byte)
	}
	m.mapped += size
	m.mem[a] = a.Take(int(size))
	return &block{a, m.mem[a], class}, nil
}

func (m *blockMemory) give(b *block) {
	m.free[b.class] = append(m.free[b.class], b.arena)
}

func (m *blockMemory) dropFree() {
	for class, list := range m.free {
		for _, a := range list {
			delete(m.mem, a)
			m.mapped -= int64(1) << class
			_ = a.Close()
		}
		m.free[class] = nil
	}
}
