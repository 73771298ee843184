package conn

import (
	"fmt"
	"math/bits"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/wire"
	"oneplusn/segment/list"
)

const (
	// MinFrameBytes is the smallest request buffer: a fetch of one partition needs about 100 bytes.
	MinFrameBytes = 512
	// KeptFrameBytes is the largest request buffer that every connection may hold, idle or not. It is part of the cost of a
	// connection, not of --request-memory, so a small request never waits for a large one.
	KeptFrameBytes = 4096
	// frameGrowth is the largest ratio of a request buffer to the bytes that have arrived. A power of two.
	frameGrowth = 4
)

// requestMemory lends memory for requests: heap memory, which the kernel never sees.
//
//	total, --request-memory
//	├── general   frames above KeptFrameBytes, as their bytes arrive; lists of partitions; decoded requests
//	│   └── large     the part of it that frames above the medium size may have
//	├── overflow  bytes that arrived for a frame that could not grow
//	└── turns     room for one whole frame of each line: see line
//
// So large frames never starve medium ones, neither starves small ones, and however many frames have begun, one of each line
// can always finish.
type requestMemory struct {
	total, connections, general, large, overflow *budget.Budget
	// lines are the connections that wait for memory: for medium frames, and for large ones.
	lines [2]line
	free  [32][][]byte
	// freeBytes are the uncharged bytes in free. Together with the charged bytes they stay within the limit of total.
	freeBytes int64
}

// line is the queue of connections that wait for memory for a frame of up to frameBytes. The first gets a buffer for its whole
// frame from turn, as soon as the one before has given that back.
type line struct {
	waiters    list.List[*Conn]
	room, turn *budget.Budget
	frameBytes int
}

func newRequestMemory(c *Config) requestMemory {
	const remedy = "raise --request-memory"
	limit, largest := c.RequestMemoryBytes, int64(c.MaxRequestBytes)+wire.FrameSizeBytes
	medium := min(max(limit/256, 4*KeptFrameBytes), largest)
	m := requestMemory{
		total: budget.New("request", remedy, limit),
		// One buffer for each connection, and one to move a buffer's content to.
		connections: budget.New("connection", "raise --max-connections", (int64(c.MaxConnections)+1)*KeptFrameBytes),
	}
	overflow := limit / 16 * 3
	m.overflow = m.total.Share("request overflow", overflow)
	m.lines[0].turn = m.total.Share("request turn, medium", medium)
	m.lines[1].turn = m.total.Share("request turn, large", largest)
	m.general = m.total.Share("request", limit-overflow-medium-largest)
	m.large = m.general.Share("large request", m.general.Limit()/4*3)
	m.lines[0].room, m.lines[0].frameBytes = m.general, int(medium)
	m.lines[1].room, m.lines[1].frameBytes = m.large, int(largest)
	return m
}

// LeastRequestMemory is the smallest RequestMemoryBytes that can be divided.
func LeastRequestMemory(maxRequestBytes int32) int64 { return int64(maxRequestBytes)/4*5 + 256<<10 }

// lineOf is the line in which a frame of n bytes waits.
func (m *requestMemory) lineOf(n int) *line {
	if n <= m.lines[0].frameBytes {
		return &m.lines[0]
	}
	return &m.lines[1]
}

func (m *requestMemory) waiting() int { return m.lines[0].waiters.Len() + m.lines[1].waiters.Len() }

// lent is memory and the budget that it is charged to.
type lent struct {
	bytes []byte
	from  *budget.Budget
}

// take lends a buffer of exactly n bytes, unless the budget is used up.
func (m *requestMemory) take(from *budget.Budget, n int) (l lent, ok bool) {
	if !from.Take(int64(n)) {
		return lent{}, false
	}
	class := bits.Len(uint(n - 1))
	if list := m.free[class]; n == 1<<class && len(list) > 0 {
		m.free[class] = list[:len(list)-1]
		m.freeBytes -= int64(n)
		return lent{list[len(list)-1], from}, true
	}
	if m.total.Used()+m.freeBytes > m.total.Limit() {
		m.free, m.freeBytes = [32][][]byte{}, 0
	}
	return lent{make([]byte, n), from}, true
}

// takeOwn lends one of the buffers that every connection may hold. There is always memory for it.
func (m *requestMemory) takeOwn(n int) lent {
	l, ok := m.take(m.connections, n)
	if !ok {
		panic(fmt.Sprintf("conn: every connection has a small buffer, and one more is left to move to; %d bytes of %d are lent, %d are wanted",
			m.connections.Used(), m.connections.Limit(), n))
	}
	return l
}

// takeRounded lends a buffer of n bytes, rounded up to a power of two if there is memory for that.
func (m *requestMemory) takeRounded(from *budget.Budget, n int) (l lent, ok bool) {
	if l, ok = m.take(from, roundedUp(n)); !ok {
		l, ok = m.take(from, n)
	}
	return l, ok
}

func roundedUp(n int) int { return 1 << bits.Len(uint(max(n, MinFrameBytes)-1)) }

// give takes a buffer back. A quarter of the budget is kept for reuse, the rest goes to the garbage collector.
func (m *requestMemory) give(l lent) {
	if l.from == nil {
		return
	}
	n := cap(l.bytes)
	l.from.Give(int64(n))
	class := bits.Len(uint(n - 1))
	if n != 1<<class || m.freeBytes+int64(n) > m.total.Limit()/4 || m.total.Used()+m.freeBytes+int64(n) > m.total.Limit() {
		return
	}
	m.free[class] = append(m.free[class], l.bytes[:n])
	m.freeBytes += int64(n)
}
