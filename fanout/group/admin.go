package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// DescribeGroups shows groups and their members. An unknown group is reported as "Dead", not as an error, as in Apache
// Kafka up to version 5 of the request.
func (c *Coordinator) DescribeGroups(req *kmsg.DescribeGroupsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	size := c.newReplySize()
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, 0, len(req.Groups))
	for _, id := range req.Groups {
		r := kmsg.NewDescribeGroupsResponseGroup()
		r.Group, r.State = id, "Dead"
		r.Members = []kmsg.DescribeGroupsResponseGroupMember{}
		switch g := c.groups.get(id); {
		case g == nil:
			r.ErrorCode = c.refusal(id)
		case !size.add(g.described()):
			r.ErrorCode = c.counts.refused(wire.CodePolicyViolation)
		default:
			g.describe(&r)
		}
		resp.Groups = append(resp.Groups, r)
	}
	return resp
}

func (g *group) describe(r *kmsg.DescribeGroupsResponseGroup) {
	r.State, r.ProtocolType = g.state.String(), g.protocolType
	if g.state == Stable {
		r.Protocol = g.protocol
	}
	for m := range g.list.All() {
		out := kmsg.NewDescribeGroupsResponseGroupMember()
		out.MemberID, out.InstanceID = m.id, stringOrNull(m.instanceID)
		out.ClientID, out.ClientHost = m.clientID, m.clientHost
		if g.state == Stable { // before that, neither has been agreed on
			out.ProtocolMetadata, out.MemberAssignment = m.metadata(g.protocol), m.assignment
		}
		r.Members = append(r.Members, out)
	}
}

// ListGroups names all groups.
func (c *Coordinator) ListGroups(req *kmsg.ListGroupsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	resp.Groups = make([]kmsg.ListGroupsResponseGroup, 0, c.groups.len())
	size := c.newReplySize()
	for _, g := range c.groups.all {
		if !size.add(listedBytes + len(g.id) + len(g.protocolType)) {
			resp.Groups, resp.ErrorCode = []kmsg.ListGroupsResponseGroup{}, c.counts.refused(wire.CodePolicyViolation)
			break
		}
		r := kmsg.NewListGroupsResponseGroup()
		r.Group, r.ProtocolType, r.GroupState = g.id, g.protocolType, g.state.String()
		resp.Groups = append(resp.Groups, r)
	}
	return resp
}

// DeleteGroups forgets groups without members, and their offsets.
func (c *Coordinator) DeleteGroups(now Instant, from Client, req *kmsg.DeleteGroupsRequest) {
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	c.queue.begin()
	for _, id := range req.Groups {
		r := kmsg.NewDeleteGroupsResponseGroup()
		r.Group, r.ErrorCode = id, c.checkGroup(id, true)
		switch g := c.groups.get(id); {
		case r.ErrorCode != 0:
		case g == nil:
			r.ErrorCode = wire.CodeGroupIDNotFound
		case g.state != Empty:
			mark.Hit("a group with members was to be deleted")
			r.ErrorCode = wire.CodeNonEmptyGroup
		default:
			mark.HitIf(g.commits.Len() > 0, "a group was deleted with its offsets")
			c.removeGroup(now, g)
		}
		resp.Groups = append(resp.Groups, r)
	}
	c.ReplyReaped(from.Ticket, resp)
}
