package group

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func long(i, n int) string { return fmt.Sprintf("%0*d", n, i) }

// holdings are all kinds of things that a client can make the coordinator hold.
var holdings = []struct {
	name string
	make func(l *lab, i int)
}{
	{"groups", func(l *lab, i int) { l.person(long(i, 10)).join() }},
	{"ids that nobody uses", func(l *lab, i int) { l.from.ID = long(i, 10); l.person("g").join() }},
	{"ids of a client with a long name", func(l *lab, i int) { l.from.ID = long(i, 30_000); l.person("g").join() }},
	{"members", func(l *lab, i int) {
		p := l.person("g")
		p.version = 3
		p.join()
	}},
	{"static members with long names", func(l *lab, i int) {
		p := l.person(long(i, 255))
		p.instance = long(i, 10_000)
		p.joined(p.join())
	}},
	{"members with many protocols", func(l *lab, i int) {
		p := l.person(long(i, 10))
		p.version = 3
		for k := range maxProtocols - 1 {
			p.protocols = append(p.protocols, kmsg.JoinGroupRequestProtocol{Name: long(k*10_000+i, 8), Metadata: []byte("x")})
		}
		p.joined(p.join())
	}},
	{"members with assignments", func(l *lab, i int) {
		p := l.person(long(i, 10))
		p.joined(p.enter())
		req := kmsg.NewPtrSyncGroupRequest()
		req.Version, req.Group, req.MemberID, req.Generation = 3, p.group, p.id, p.generation
		// A slice of a request that is a hundred times as large.
		req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: p.id, MemberAssignment: make([]byte, 30_000)[:1000]}}
		l.ask(req)
	}},
	{"types of protocols", func(l *lab, i int) {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.SessionTimeoutMillis = 3, long(i, 10), 10_000
		req.ProtocolType, req.Protocols = long(i, 10_000), protocols("range")
		l.ask(req)
	}},
	{"offsets of one group", func(l *lab, i int) { l.commit("g", "", -1, nil, "t", int32(i), 1) }},
	{"offsets of groups", func(l *lab, i int) { l.commit(long(i, 10), "", -1, nil, long(i, 100), 0, 1) }},
}

// Every kind of thing that a client can make the coordinator hold, many of each: the heap grows by no more than what was
// charged, and nothing is charged once all is forgotten.
func TestChargedMemoryCoversTheHeap(t *testing.T) {
	const many = 1000
	for _, row := range holdings {
		t.Run(row.name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.MemoryBytes, c.MaxGroups, c.MaxMembers = 1<<30, 3*many, 3*many })
			l.unchecked = true
			for i := range many / 10 { // what is made once
				row.make(l, i)
			}
			l.forget()
			before, charged := heapBytes(), l.c.budget.Used()
			for i := range many {
				row.make(l, many+i)
				l.forget()
			}
			grew, took := heapBytes()-before, l.c.budget.Used()-charged
			if t.Logf("the heap grew by %d, charged were %d", grew, took); took < grew {
				t.Errorf("the heap grew by %d bytes, charged were %d", grew, took)
			}
			runtime.KeepAlive(l)
			l.removeAll()
			l.pass(time.Second)
			l.check()
			if n := l.c.Counts(); n.MemoryBytes != 0 || l.c.present.len() != 0 || l.c.timers.heap.Len() != 0 {
				t.Errorf("all is forgotten, and left are %d bytes, %d connections and %d timers", n.MemoryBytes, l.c.present.len(), l.c.timers.heap.Len())
			}
		})
	}
}

// removeAll has every member leave, and deletes every group.
func (l *lab) removeAll() {
	for id := range l.c.groups.all {
		for m := range l.c.groups.get(id).list.All() {
			leave := l.person(id)
			leave.id = m.id
			leave.leave()
		}
		del := kmsg.NewPtrDeleteGroupsRequest()
		del.Groups = []string{id}
		l.ask(del)
	}
}

// forget drops what the lab, and not the coordinator, holds.
func (l *lab) forget() {
	l.kept = nil
	clear(l.replies)
	l.out = Output{}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What does not fit the budget is refused, counted, and leaves nothing behind: not a byte, a timer or an id.
func TestWhatDoesNotFitTheBudgetLeavesNothingBehind(t *testing.T) {
	l := newLab(t, func(c *Config) { c.MemoryBytes = 64 << 10; c.MaxMembers = 1000 })
	l.from.ID = strings.Repeat("c", 10_000)
	refused := 0
	for range 50 {
		if resp := reply[*kmsg.JoinGroupResponse](l, l.person("g").join()); resp.ErrorCode == 44 {
			refused++
		}
	}
	if n := l.c.Counts(); refused < 40 || n.Refused != uint64(refused) || n.MemoryBytes > 64<<10 {
		t.Errorf("%d of 50 were refused: %+v", refused, n)
	}
	l.pass(10 * time.Second)
	if got := l.c.groups.get("g").pending.len(); got != 0 {
		t.Errorf("%d ids are left after their time", got)
	}
	l.from.ID = "c"
	p := l.person("g")
	p.joined(p.enter())
}

// A map that was large once is not held when it is small.
func TestTableGivesItsMemoryBack(t *testing.T) {
	var x table[int, *[8]int64]
	const many = 100_000
	before := heapBytes()
	for i := range many {
		x.put(i, nil)
	}
	full := heapBytes() - before
	for i := range many - 10 {
		x.remove(i)
	}
	if left := heapBytes() - before; left > full/10 {
		t.Errorf("%d bytes are left of %d", left, full)
	}
	for i := many - 10; i < many; i++ {
		if _, ok := x.all[i]; !ok {
			t.Errorf("%d is gone", i)
		}
	}
}
