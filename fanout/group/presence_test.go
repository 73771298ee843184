package group

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A client that got an id and is gone does not hold up the others: neither when its connection is closed, nor, if that
// stays open, for longer than pendingWait.
func TestIDOfAClientThatIsGoneHoldsUpNobody(t *testing.T) {
	for _, closed := range []bool{true, false} {
		l := newLab(t, nil)
		people := l.form("g", 1, nil)
		ghost := l.person("g")
		ghost.session = 5 * time.Minute
		given := ghost.join()
		late := l.person("g")
		lateJoin, again := late.enter(), people[0].join()
		l.waits(lateJoin)
		if closed {
			l.c.Disconnected(l.now, given)
			l.collect()
		} else {
			l.pass(pendingWait)
		}
		people[0].joined2(late, again, lateJoin)
		if !closed {
			// It is slow, and not gone: its id is still good.
			ghost.id = reply[*kmsg.JoinGroupResponse](l, given).MemberID
			l.waits(ghost.join())
		} else if l.c.present.len() != 0 {
			t.Errorf("%d connections are remembered", l.c.present.len())
		}
	}
}

func TestMemberWhoseConnectionIsClosedBeforeItsFirstGenerationIsForgotten(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 1, nil)
	ghost := l.person("g")
	first := ghost.enter()
	second := ghost.join() // it asked again, on another connection
	l.c.Disconnected(l.now, first)
	l.collect()
	l.waits(second)
	if n := l.c.Counts().Members; n != 2 {
		t.Fatalf("%d members, want 2: the first connection is not the one that it waits on", n)
	}
	again := people[0].join()
	people[0].joined2(ghost, again, second)
	l.c.Disconnected(l.now, second)
	if code := ghost.heartbeat(); code != 0 {
		t.Errorf("a member that has been in a generation loses its connection: error %d", code)
	}
	third := l.person("g")
	waiting := third.enter()
	l.c.Disconnected(l.now, waiting)
	if n := l.c.Counts().Members; n != 2 || third.heartbeat() != 25 {
		t.Errorf("%d members, want 2", n)
	}
}

func TestOneConnectionHasFewPendingIDs(t *testing.T) {
	l := newLab(t, nil)
	first := ""
	for i := range 3 * maxPendingPerClient {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.SessionTimeoutMillis, req.ProtocolType = 5, string(rune('a'+i%3)), 10_000, "consumer"
		req.Protocols = protocols("range")
		l.c.JoinGroup(l.now, Client{Ticket: 7, ID: "c"}, req)
		l.c.TakeOutput(&l.out)
		l.check()
		if id := l.out.Replies[0].Response.(*kmsg.JoinGroupResponse).MemberID; i == 0 {
			first = id
		}
	}
	ids := 0
	for _, g := range l.c.groups.all {
		ids += g.pending.len()
	}
	if ids != maxPendingPerClient || l.c.groups.get("a").pending.get(first) != nil {
		t.Errorf("%d ids are pending, want the newest %d", ids, maxPendingPerClient)
	}
}
