package group

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func static(names ...string) func(i int, p *person) {
	return func(i int, p *person) { p.instance, p.session = names[i], 2*time.Minute }
}

// KIP-345: a static member that restarts gets its old assignment, and no other member notices.
func TestStaticMemberComesBackWithoutARebalance(t *testing.T) {
	for _, name := range []string{"leader", "follower"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			people := l.form("g", 2, static("leader", "follower"))
			old := people[0]
			if name == "follower" {
				old = people[1]
			}
			back := l.person("g")
			back.instance, back.session = name, old.session
			resp := back.joined(back.join())
			if back.id == old.id || back.generation != old.generation || len(resp.Members) != 0 {
				t.Fatalf("it got id %s, generation %d and %d members", back.id, back.generation, len(resp.Members))
			}
			if back.leader {
				t.Fatal("it would assign, and nobody would hear of it")
			}
			back.synced(back.sync())
			if back.assigned != old.assigned {
				t.Errorf("it got %q, not %q", back.assigned, old.assigned)
			}
			for _, p := range people {
				want := int16(0)
				if p == old {
					want = 82
				}
				if code := p.heartbeat(); code != want {
					t.Errorf("%s: error %d, want %d", p.instance, code, want)
				}
			}
			if code := old.commit("t", 0, 1); code != 82 {
				t.Errorf("the fenced one commits: error %d, want 82", code)
			}
			if code := back.commit("t", 0, 1); code != 0 {
				t.Errorf("the one in its place commits: error %d", code)
			}
		})
	}
}

func TestStaticMemberWithOtherTopicsRebalancesTheGroup(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 2, func(i int, p *person) {
		static("a", "b")(i, p)
		p.protocols = subscribed("one", "two")
	})
	same := l.person("g")
	same.instance, same.protocols = "a", subscribed("two", "one")
	same.joined(same.join())
	other := l.person("g")
	other.instance, other.protocols = "a", subscribed("one", "three")
	l.waits(other.join())
	if code := people[1].heartbeat(); code != 27 {
		t.Errorf("the other: error %d, want 27", code)
	}
}

func TestStaticMemberMayBeAwayForAWholeRebalance(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 2, static("here", "away"))
	late := l.person("g")
	late.session = 2 * time.Minute
	lateJoin := late.enter()
	hereJoin := people[0].join()
	l.pass(30 * time.Second)
	people[0].joined2(late, hereJoin, lateJoin)
	late.joined(lateJoin)
	if len(people[0].members) != 3 {
		t.Fatalf("the leader assigns to %v", people[0].members)
	}
	people[0].synced(people[0].sync())
	late.synced(late.sync())
	l.pass(60 * time.Second)
	back := l.person("g")
	back.instance = "away"
	back.joined(back.join())
	back.synced(back.sync())
	if back.assigned != "for "+people[1].id {
		t.Errorf("the one that comes back gets %q", back.assigned)
	}
}

func TestGroupOfStaticMembersThatAreAllAwayEndsWithTheirSessions(t *testing.T) {
	l := newLab(t, nil)
	l.form("g", 2, static("a", "b"))
	l.pass(2*time.Minute + 30*time.Second)
	if g := l.describe("g"); g.State != "Empty" {
		t.Errorf("the group is %s with %d members", g.State, len(g.Members))
	}
}

func TestAdministratorRemovesStaticMembersByInstance(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 2, static("a", "b"))
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = 3, "g"
	for _, m := range []struct{ id, instance string }{{"", "a"}, {"", "nobody"}, {people[0].id, "b"}, {"x", ""}} {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID, member.InstanceID = m.id, kmsg.StringPtr(m.instance)
		req.Members = append(req.Members, member)
	}
	resp := reply[*kmsg.LeaveGroupResponse](l, l.ask(req))
	for i, want := range []int16{0, 25, 82, 25} {
		if got := resp.Members[i].ErrorCode; got != want {
			t.Errorf("member %d: error %d, want %d", i, got, want)
		}
	}
	if n := len(l.describe("g").Members); n != 1 {
		t.Errorf("%d members are left", n)
	}
}

// A member id that was handed out belongs to a client without an instance id. One that uses it to claim another's instance is fenced: two
// members of one instance would each be removed with the other.
func TestMemberIDThatWasHandedOutClaimsNobodysInstance(t *testing.T) {
	l := newLab(t, nil)
	holder := l.form("g", 1, static("a"))[0]
	thief := l.person("g")
	if resp := reply[*kmsg.JoinGroupResponse](l, thief.join()); resp.ErrorCode != 79 {
		t.Fatalf("error %d, want a member id and 79", resp.ErrorCode)
	} else {
		thief.id = resp.MemberID
	}
	thief.instance = "a"
	if resp := reply[*kmsg.JoinGroupResponse](l, thief.join()); resp.ErrorCode != 82 {
		t.Errorf("the claim: error %d, want 82", resp.ErrorCode)
	}
	if code := holder.heartbeat(); code != 0 {
		t.Errorf("the holder: error %d", code)
	}
}
