package group

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestFirstMemberLeadsAndEverybodyGetsTheirOwnAssignment(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 3, nil)
	leaders := 0
	for _, p := range people {
		if p.leader {
			leaders++
			if len(p.members) != 3 {
				t.Errorf("the leader is told of %d members", len(p.members))
			}
		} else if len(p.members) != 0 {
			t.Errorf("a follower is told of %d members", len(p.members))
		}
	}
	if leaders != 1 || !people[0].leader {
		t.Errorf("%d leaders; the first member leads: %v", leaders, people[0].leader)
	}
	if got := l.c.Counts(); got.Groups != 1 || got.Members != 3 {
		t.Errorf("counted: %+v", got)
	}
}

// KIP-394: from version 4 on a client without an id has to come again with one, and holds up the others until then.
func TestClientWithoutAnIDIsSentAwayWithOne(t *testing.T) {
	l := newLab(t, nil)
	for version := int16(0); version <= 5; version++ {
		p := l.person("g" + string('0'+rune(version)))
		p.version = version
		resp := reply[*kmsg.JoinGroupResponse](l, p.join())
		if version < 4 {
			if resp.ErrorCode != 0 || resp.Generation != 1 || resp.MemberID == "" {
				t.Errorf("v%d: error %d, generation %d, id %q", version, resp.ErrorCode, resp.Generation, resp.MemberID)
			}
			continue
		}
		if resp.ErrorCode != 79 || resp.MemberID == "" || resp.Generation != -1 {
			t.Fatalf("v%d: error %d, generation %d, id %q; want 79 and an id", version, resp.ErrorCode, resp.Generation, resp.MemberID)
		}
		p.id = resp.MemberID
		other := l.person(p.group)
		first := other.enter()
		l.waits(first)
		other.joined2(p, first, p.join())
	}
}

// joined2 takes the answers of two that joined together.
func (p *person) joined2(other *person, mine, others uint64) {
	p.lab.t.Helper()
	p.joined(mine)
	other.joined(others)
	if p.generation != other.generation || p.id == other.id {
		p.lab.t.Fatalf("generations %d and %d, ids %q and %q", p.generation, other.generation, p.id, other.id)
	}
}

func TestIDThatIsNeverUsedDoesNotHoldUpTheGroupForever(t *testing.T) {
	l := newLab(t, nil)
	ghost := l.person("g")
	ghost.join()
	p := l.person("g")
	ticket := p.enter()
	l.waits(ticket)
	l.pass(ghost.session)
	p.joined(ticket)
}

// Members stay members, and keep what they own, while a rebalance goes on: what cooperative rebalancing builds on.
func TestRebalanceLeavesMembersInPlaceUntilTheyJoinAgain(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 2, nil)
	late := l.person("g")
	ticket := late.enter()
	l.waits(ticket)
	for _, p := range people {
		if code := p.heartbeat(); code != 27 {
			t.Fatalf("heartbeat in a rebalance: error %d, want 27", code)
		}
		if code := p.commit("t", 0, 5); code != 0 {
			t.Fatalf("commit in a rebalance: error %d", code)
		}
	}
	first := people[0].join()
	l.waits(first)
	second := people[1].join()
	late.joined(ticket)
	for i, p := range people {
		p.joined([]uint64{first, second}[i])
		if p.generation != late.generation {
			t.Fatalf("generation %d, want %d", p.generation, late.generation)
		}
		if code := p.commit("t", 0, 6); code != 27 {
			t.Errorf("commit before the assignment: error %d, want 27", code)
		}
	}
	if !slices.Contains(people[0].members, late.id) || !people[0].leader {
		t.Errorf("the leader is told of %v", people[0].members)
	}
}

func TestSilentMemberIsRemovedAndTheOthersGoOn(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 3, nil)
	for range 3 {
		l.pass(4 * time.Second)
		for _, p := range people[1:] {
			if code := p.heartbeat(); code != 0 && code != 27 {
				t.Fatalf("heartbeat: error %d", code)
			}
		}
	}
	l.settle(people[1:]...)
	if people[0].heartbeat() != 25 {
		t.Error("the silent member is still known")
	}
	if n := l.c.Counts().Expired; n != 1 {
		t.Errorf("%d members expired", n)
	}
}

func TestMemberThatDoesNotJoinAgainIsLeftBehind(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 3, nil)
	rejoin := []uint64{people[0].join(), people[1].join()} // the leader joins again, which begins a rebalance
	for range 6 {
		l.pass(5 * time.Second)
		people[2].heartbeat()
	}
	people[0].joined2(people[1], rejoin[0], rejoin[1])
	if code := people[2].heartbeat(); code != 25 {
		t.Errorf("the one that was left behind: error %d, want 25", code)
	}
	if code := people[2].commit("t", 0, 1); code != 25 {
		t.Errorf("and its commit: error %d, want 25", code)
	}
}

func TestMemberThatDoesNotComeForItsAssignmentIsRemoved(t *testing.T) {
	l := newLab(t, nil)
	a, b := l.person("g"), l.person("g")
	a.session, b.session = time.Minute, time.Minute
	first := a.enter()
	a.joined(first)
	second := b.enter()
	a.joined2(b, a.join(), second)
	wait := a.sync()
	a.synced(wait)
	l.pass(30 * time.Second)
	if code := b.heartbeat(); code != 25 {
		t.Errorf("the one that owes its sync: error %d, want 25", code)
	}
	if code := a.heartbeat(); code != 27 {
		t.Errorf("the other: error %d, want 27", code)
	}
}

func TestLeaderThatNeverAssignsIsReplaced(t *testing.T) {
	l := newLab(t, nil)
	a, b := l.person("g"), l.person("g")
	a.session, b.session = time.Minute, time.Minute
	a.joined(a.enter())
	ticket := b.enter()
	a.joined2(b, a.join(), ticket)
	wait := b.sync()
	l.pass(29 * time.Second)
	l.waits(wait)
	l.pass(time.Second)
	if resp := reply[*kmsg.SyncGroupResponse](l, wait); resp.ErrorCode != 27 {
		t.Fatalf("the follower's sync: error %d, want 27", resp.ErrorCode)
	}
	if b.joined(b.join()); !b.leader {
		t.Error("the one that is left does not lead")
	}
}

func TestAnswersThatGotLostAreGivenAgain(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 2, nil)
	follower := people[1]
	before := follower.generation
	if follower.joined(follower.join()); follower.generation != before {
		t.Errorf("a follower that joins again gets generation %d, want %d", follower.generation, before)
	}
	follower.synced(follower.sync())
	if follower.assigned != "for "+follower.id {
		t.Errorf("and the assignment %q", follower.assigned)
	}
	// A client that gives up on a waiting request and asks again: the first is answered, nobody waits for ever.
	third := l.person("g")
	first := third.enter()
	second := third.join()
	if resp := reply[*kmsg.JoinGroupResponse](l, first); resp.ErrorCode != 27 {
		t.Errorf("the join that was given up: error %d, want 27", resp.ErrorCode)
	}
	l.waits(second)
}

func TestLeavingRebalancesAtOnceAndTheLastOneEmptiesTheGroup(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 3, nil)
	if code := people[0].leave(); code != 0 {
		t.Fatalf("leaving: error %d", code)
	}
	if code := people[1].heartbeat(); code != 27 {
		t.Fatalf("heartbeat after a leave: error %d, want 27", code)
	}
	l.settle(people[1:]...)
	if !people[1].leader {
		t.Error("the next one does not lead")
	}
	people[1].leave()
	people[2].leave()
	if g := l.describe("g"); g.State != "Empty" || len(g.Members) != 0 {
		t.Errorf("the group is %s with %d members", g.State, len(g.Members))
	}
	if l.c.Counts().Members != 0 {
		t.Errorf("counted: %+v", l.c.Counts())
	}
}

// KIP-134: members that start together meet in one generation.
func TestEmptyGroupWaitsForMoreMembers(t *testing.T) {
	l := newLab(t, func(c *Config) { c.InitialRebalanceDelay = 3 * time.Second })
	var people []*person
	var tickets []uint64
	for range 5 {
		p := l.person("g")
		people, tickets = append(people, p), append(tickets, p.enter())
		l.pass(time.Second)
	}
	for _, ticket := range tickets {
		l.waits(ticket)
	}
	l.pass(5 * time.Second)
	for i, p := range people {
		if p.joined(tickets[i]); p.generation != 1 {
			t.Fatalf("member %d is in generation %d", i, p.generation)
		}
	}
}

func TestEndlessArrivalsDoNotPutOffTheFirstGenerationForEver(t *testing.T) {
	l := newLab(t, func(c *Config) { c.InitialRebalanceDelay = 3 * time.Second })
	first := l.person("g")
	ticket := first.enter()
	for range 31 {
		l.pass(time.Second)
		l.person("g").enter()
	}
	first.joined(ticket)
}

func TestProtocolIsTheOneThatMostMembersLikeAmongThoseThatAllHave(t *testing.T) {
	l := newLab(t, nil)
	likes := [][]string{{"sticky", "range"}, {"range", "sticky", "odd"}, {"range", "sticky"}}
	people := l.form("g", 3, func(i int, p *person) { p.protocols = protocols(likes[i]...) })
	if got := l.describe("g").Protocol; got != "range" {
		t.Errorf("chosen was %q", got)
	}
	stranger := l.person("g")
	stranger.protocols = protocols("odd")
	if resp := reply[*kmsg.JoinGroupResponse](l, stranger.join()); resp.ErrorCode != 23 {
		t.Errorf("one with other protocols: error %d, want 23", resp.ErrorCode)
	}
	for _, p := range people {
		if code := p.heartbeat(); code != 0 {
			t.Errorf("the refused one disturbed the group: error %d", code)
		}
	}
}
