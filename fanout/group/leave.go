package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// leaveManyFrom is the version from which on a request names several members, each with its own error (KIP-345).
const leaveManyFrom = 3

// LeaveGroup removes members at once, without waiting for the session timeout. An administrator removes static members by
// their instance id.
func (c *Coordinator) LeaveGroup(now Instant, from Client, req *kmsg.LeaveGroupRequest) {
	c.queue.asked(from.Ticket)
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	resp.ErrorCode = c.checkGroup(req.Group, false)
	g := c.groups.get(req.Group)
	switch {
	case resp.ErrorCode != 0:
	case req.Version < leaveManyFrom:
		resp.ErrorCode = c.leaveOne(now, g, req.MemberID, "")
	default:
		resp.Members = make([]kmsg.LeaveGroupResponseMember, 0, len(req.Members))
		for i := range req.Members {
			want := &req.Members[i]
			r := kmsg.NewLeaveGroupResponseMember()
			r.MemberID, r.InstanceID = want.MemberID, want.InstanceID
			r.ErrorCode = c.leaveOne(now, g, want.MemberID, textOf(want.InstanceID))
			resp.Members = append(resp.Members, r)
		}
	}
	c.reply(from.Ticket, resp)
}

func (c *Coordinator) leaveOne(now Instant, g *group, memberID, instance string) int16 {
	if g == nil {
		return wire.CodeUnknownMemberID
	}
	if p := g.pending.get(memberID); p != nil {
		c.dropPending(p, now)
		return 0
	}
	if m := g.instances.get(instance); m != nil && memberID == "" {
		mark.Hit("a static member was removed by its instance id")
		memberID = m.id
	}
	m, code := g.find(memberID, instance)
	if code != 0 {
		return code
	}
	c.leave(g, m, now)
	return 0
}
