package group

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The error of each request that does not fit the group's state; it changes nothing.
func TestRequestsThatDoNotFitAreToldWhy(t *testing.T) {
	const join, sync, beat, commit, leave = "join", "sync", "heartbeat", "commit", "leave"
	do := func(p *person, what string) int16 {
		switch what {
		case join:
			return reply[*kmsg.JoinGroupResponse](p.lab, p.join()).ErrorCode
		case sync:
			return reply[*kmsg.SyncGroupResponse](p.lab, p.sync()).ErrorCode
		case beat:
			return p.heartbeat()
		case commit:
			return p.commit("t", 0, 1)
		}
		return p.leave()
	}
	for _, row := range []struct {
		name   string
		change func(p *person)
		want   map[string]int16
	}{
		{"another member", func(p *person) { p.id = "nobody" }, map[string]int16{join: 25, sync: 25, beat: 25, commit: 25, leave: 25}},
		{"an older generation", func(p *person) { p.generation-- }, map[string]int16{sync: 22, beat: 22, commit: 22}},
		{"a later generation", func(p *person) { p.generation++ }, map[string]int16{sync: 22, beat: 22, commit: 22}},
		{"an unknown instance", func(p *person) { p.instance = "i" }, map[string]int16{join: 25, sync: 25, beat: 25, commit: 25}},
		{"another group", func(p *person) { p.group = "other" }, map[string]int16{join: 25, sync: 25, beat: 25, commit: 22, leave: 25}},
		{"no group's name", func(p *person) { p.group = "" }, map[string]int16{join: 24, sync: 24, beat: 24, leave: 24}},
		{"a group's name that is too long", func(p *person) { p.group = strings.Repeat("g", 256) },
			map[string]int16{join: 24, sync: 24, beat: 24, commit: 24, leave: 24}},
		{"too short a session", func(p *person) { p.session = 999 * time.Millisecond }, map[string]int16{join: 26}},
		{"too long a session", func(p *person) { p.session = 11 * time.Minute }, map[string]int16{join: 26}},
		{"no protocol", func(p *person) { p.protocols = nil }, map[string]int16{join: 23}},
		{"no member, as a consumer without a group", func(p *person) { p.id, p.generation = "", -1 }, map[string]int16{commit: 25}},
	} {
		for what, code := range row.want {
			l := newLab(t, nil)
			people := l.form("g", 2, nil)
			p := *people[1]
			row.change(&p)
			if got := do(&p, what); got != code {
				t.Errorf("%s, %s: error %d, want %d", row.name, what, got, code)
			}
			for _, member := range people {
				if code := member.heartbeat(); code != 0 {
					t.Errorf("%s, %s: the group was disturbed, error %d", row.name, what, code)
				}
			}
		}
	}
}

func TestGroupsAreListedDescribedAndDeleted(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("busy", 2, nil)
	l.commit("idle", "", -1, nil, "t", 0, 7)
	list := kmsg.NewPtrListGroupsRequest()
	list.Version = 2
	types := make(map[string]string)
	for _, g := range reply[*kmsg.ListGroupsResponse](l, l.ask(list)).Groups {
		types[g.Group] = g.ProtocolType
	}
	if len(types) != 2 || types["busy"] != "consumer" || types["idle"] != "" {
		t.Errorf("listed: %v", types)
	}
	g := l.describe("busy")
	if g.State != "Stable" || g.Protocol != "range" || g.ProtocolType != "consumer" || len(g.Members) != 2 ||
		string(g.Members[0].ProtocolMetadata) != "about range" || string(g.Members[1].MemberAssignment) != "for "+people[1].id ||
		g.Members[0].ClientID != "test" || g.Members[0].ClientHost != "/127.0.0.1" {
		t.Errorf("described: %+v", g)
	}
	if g := l.describe("nobody"); g.State != "Dead" || g.ErrorCode != 0 || g.Members == nil {
		t.Errorf("an unknown group: %+v", g)
	}
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Version, del.Groups = 1, []string{"busy", "idle", "nobody"}
	resp := reply[*kmsg.DeleteGroupsResponse](l, l.ask(del))
	for i, want := range []int16{68, 0, 69} {
		if got := resp.Groups[i].ErrorCode; got != want {
			t.Errorf("deleting %s: error %d, want %d", del.Groups[i], got, want)
		}
	}
	if got := l.committed("idle", "t", 0).Offset; got != -1 {
		t.Errorf("a deleted group is at %d", got)
	}
	if l.restart(); l.describe("idle").State != "Dead" {
		t.Error("a deleted group comes back")
	}
}

func TestLimitsRefuseWhatDoesNotFitAndNothingElse(t *testing.T) {
	join := func(p *person) int16 {
		resp, _ := p.lab.replies[p.enter()].(*kmsg.JoinGroupResponse)
		if resp == nil {
			return 0
		}
		return resp.ErrorCode
	}
	t.Run("groups", func(t *testing.T) {
		l := newLab(t, func(c *Config) { c.MaxGroups = 2 })
		l.form("a", 1, nil)
		l.form("b", 1, nil)
		if code := join(l.person("c")); code != 44 {
			t.Errorf("the third group: error %d, want 44", code)
		}
		if code := l.commit("d", "", -1, nil, "t", 0, 1); code != 44 {
			t.Errorf("a commit to a third group: error %d, want 44", code)
		}
	})
	t.Run("members", func(t *testing.T) {
		l := newLab(t, func(c *Config) { c.MaxMembers = 2 })
		people := l.form("a", 2, nil)
		if code := join(l.person("a")); code != 81 {
			t.Errorf("the third member: error %d, want 81", code)
		}
		if code := people[0].heartbeat(); code != 0 {
			t.Errorf("the others: error %d", code)
		}
	})
	t.Run("memory", func(t *testing.T) {
		l := newLab(t, func(c *Config) { c.MemoryBytes = 10_000 })
		people := l.form("a", 1, nil)
		big := l.person("a")
		big.protocols[0].Metadata = make([]byte, 10_000)
		if code := join(big); code != 44 {
			t.Errorf("a subscription of 10,000 bytes: error %d, want 44", code)
		}
		refused := 0
		for i := range int32(100) {
			if people[0].commit("t", i, 1) == 44 {
				refused++
			}
		}
		if refused < 60 || refused > 90 {
			t.Errorf("%d of 100 offsets were refused in 10,000 bytes", refused)
		}
		if code := people[0].commit("t", 0, 2); code != 0 {
			t.Errorf("an offset that there is already: error %d", code)
		}
		if used := l.c.Counts().MemoryBytes; used > 10_000 {
			t.Errorf("%d bytes are taken", used)
		}
	})
	t.Run("metadata", func(t *testing.T) {
		l := newLab(t, func(c *Config) { c.MaxMetadataBytes = 3 })
		if code := l.commit("a", "", -1, nil, "t", 0, 1); code != 12 {
			t.Errorf("4 bytes of metadata: error %d, want 12", code)
		}
	})
}

// All that was taken from the budget comes back.
func TestMemoryIsGivenBack(t *testing.T) {
	l := newLab(t, nil)
	for round := range 3 {
		people := l.form("a", 5, func(i int, p *person) {
			if i > 2 {
				static("", "", "", "x", "y")(i, p)
			}
		})
		people[0].commit("t", 0, 1)
		people[1].commit("t", 1, 1)
		people[1].commit("u", 1, 1)
		l.person("a").join() // an id that is not used
		for _, p := range people {
			p.leave()
		}
		l.pass(10 * time.Second)
		del := kmsg.NewPtrDeleteGroupsRequest()
		del.Version, del.Groups = 1, []string{"a"}
		if code := reply[*kmsg.DeleteGroupsResponse](l, l.ask(del)).Groups[0].ErrorCode; code != 0 {
			t.Fatalf("round %d: error %d", round, code)
		}
		counts := l.c.Counts()
		if counts.Groups != 0 || counts.Members != 0 || counts.Offsets != 0 || counts.MemoryBytes != 0 ||
			l.c.timers.heap.Len() != 0 || l.c.present.len() != 0 {
			t.Fatalf("round %d: %+v and %d timers are left", round, counts, l.c.timers.heap.Len())
		}
	}
}
