package offsets

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Random commits on a disk that is slow, and crashes: what was acknowledged is there after every restart, and nothing that was
// never sent. Every request of a server that lives on is answered once; that of a failed sync is refused.
func TestAcknowledgedCommitsSurviveCrashes(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			dir, partitions := t.TempDir(), 1+random.IntN(3)
			l := newLab(t, dir, partitions)
			acknowledged := make(map[string]int64) // by group
			sent := make(map[string]int64)
			waiting := make(map[uint64]string)
			offsets := make(map[uint64]int64)
			hear := func() {
				for ticket, name := range waiting {
					if l.replies[ticket] == nil {
						continue
					}
					if l.answer(ticket) == 0 {
						acknowledged[name] = max(acknowledged[name], offsets[ticket])
					}
					delete(waiting, ticket)
				}
			}
			next, crashes := int64(0), 0
			for range 300 {
				switch n := random.IntN(20); {
				case n < 12:
					name := string('a' + rune(random.IntN(5)))
					next++
					ticket := l.commit(name, next)
					waiting[ticket], offsets[ticket], sent[name] = name, next, next
				case n < 16:
					l.turn()
				case n < 19:
					l.synced(0)
				case next > 0 && random.IntN(2) == 0:
					// The process is killed between two writes.
					l.until("no write in flight", func() bool { return l.Coordinator() != nil && l.committer.Pending() == 0 })
					if crashes++; crashes%3 == 0 {
						l.synced(-int32(syscall.EIO))
					}
					hear()
					clear(waiting)
					tickets := l.tickets
					l = newLab(t, dir, partitions)
					l.tickets, l.replies = tickets, make(map[uint64]kmsg.Response)
					l.open()
					l.Restore()
					l.Start(nil)
					for name, want := range acknowledged {
						if got, code := l.committed(name); code != 0 || got < want || got > sent[name] {
							t.Fatalf("%s: offset %d, error %d after a crash; acknowledged was %d, sent %d", name, got, code, want, sent[name])
						}
					}
				}
				hear()
			}
			l.until("every request is answered", func() bool { l.synced(0); hear(); return len(waiting) == 0 && l.Settled() })
			for name, want := range sent {
				if got, code := l.committed(name); code != 0 || got > want || got < acknowledged[name] {
					t.Errorf("%s is at %d, error %d; acknowledged was %d, sent %d", name, got, code, acknowledged[name], want)
				}
			}
			if crashes == 0 {
				t.Error("no crash: the test tests too little")
			}
		})
	}
}
