package group

import (
	"testing"
	"time"
)

const (
	fullDelay = 3 * time.Second
	loneDelay = 300 * time.Millisecond
)

func gatheringLab(t *testing.T) *lab {
	return newLab(t, func(c *Config) {
		c.InitialRebalanceDelay, c.LoneMemberDelay = fullDelay, loneDelay
		c.MaxMembers = 1000
	})
}

func TestOnlyMemberOfAGroupDoesNotWaitForOthersForLong(t *testing.T) {
	l := gatheringLab(t)
	p := l.person("g")
	ticket := p.enter()
	l.pass(loneDelay - time.Millisecond)
	l.waits(ticket)
	l.pass(time.Millisecond)
	p.joined(ticket)
	p.synced(p.sync())
	// It may join again, and leave, without waiting for others.
	if p.joined(p.join()); p.generation != 2 {
		t.Errorf("generation %d, want 2", p.generation)
	}
	p.synced(p.sync())
	if p.leave(); l.describe("g").State != "Empty" {
		t.Errorf("after it has left the group is %s", l.describe("g").State)
	}
}

// Members that start within seconds meet in one generation or two, whatever lies between them, and wait for no longer than
// in Apache Kafka: the delay after the last of them.
func TestMembersThatStartTogetherMeetInTwoGenerationsAtMost(t *testing.T) {
	for _, between := range []time.Duration{0, 1e6, 50e6, loneDelay - 1e6, loneDelay + 1e6, 1e9} { // nanoseconds
		const members = 60
		l := gatheringLab(t)
		people, tickets := make([]*person, members), make([]uint64, members)
		for i := range people {
			people[i] = l.person("g")
			people[i].rebalance = 5 * time.Minute
			tickets[i] = people[i].enter()
			l.pass(between)
			if l.replies[tickets[0]] != nil && people[0].generation == 0 {
				// The first went on alone; it hears of the others by its heartbeat.
				people[0].joined(tickets[0])
				people[0].synced(people[0].sync())
			}
			if people[0].generation == 1 && people[0].heartbeat() == 27 {
				tickets[0] = people[0].join()
				people[0].generation = -1
			}
		}
		l.pass(2 * fullDelay)
		for i, p := range people {
			if p.joined(tickets[i]); p.generation > 2 || p.generation != people[0].generation {
				t.Fatalf("%v apart: member %d is in generation %d", between, i, p.generation)
			}
		}
	}
}

// The pattern of librdkafka's test 0118: two consumers of one process, the second made as soon as the first is.
func TestTwoThatJoinAtOnceAreBothInTheFirstGeneration(t *testing.T) {
	l := gatheringLab(t)
	a, b := l.person("g"), l.person("g")
	first := a.enter()
	l.pass(loneDelay / 2)
	b.join() // for an id: that somebody comes is known by then
	l.pass(loneDelay)
	l.waits(first)
	second := b.enter()
	l.pass(2 * fullDelay)
	a.joined2(b, first, second)
	if a.generation != 1 {
		t.Errorf("they are in generation %d", a.generation)
	}
}

// The delay counts from the last arrival.
func TestGroupGathersForTheDelayAfterTheLastThatCame(t *testing.T) {
	l := gatheringLab(t)
	a, b := l.person("g"), l.person("g")
	first := a.enter()
	l.pass(loneDelay / 2)
	second := b.enter()
	l.pass(fullDelay - time.Millisecond)
	l.waits(first)
	l.pass(time.Millisecond)
	a.joined2(b, first, second)
}

// Those that are in the group already hear of the others by their next heartbeat, which may take longer than the delay.
func TestFirstMemberIsNotLeftBehindByThoseThatComeLate(t *testing.T) {
	l := gatheringLab(t)
	first, late := l.person("g"), l.person("g")
	ticket := first.enter()
	l.pass(loneDelay)
	first.joined(ticket)
	first.synced(first.sync())
	lateJoin := late.enter()
	l.pass(2 * fullDelay)
	l.waits(lateJoin)
	first.joined2(late, first.join(), lateJoin)
}

// The first member leaves before it gets a generation: the group waits for no one.
func TestGroupThatIsLeftWhileItGathersIsEmptyAtOnce(t *testing.T) {
	l := gatheringLab(t)
	p := l.person("g")
	p.enter()
	p.leave()
	if state := l.describe("g").State; state != "Empty" {
		t.Errorf("the group is %s", state)
	}
}
