package fanout

import (
	"bytes"
	"net"
	"strconv"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// sharedMetadata caches the encoded list of all topics, by version. It is encoded at most once a turn, and all responses share its
// memory until it changes: five hundred clients that start together cost one list, not five hundred.
type sharedMetadata [wire.MetadataVersions]sharedList

type sharedList struct {
	block *conn.Block // nil if there is none; else held once here
	n     int
	turn  uint64 // in which it was encoded
}

// allTopics is the encoded list, or nil while there is no memory for it: then the client waits.
func (c *client) allTopics() *sharedList {
	b := c.base
	version := c.header.Version
	l := &b.metadata[version]
	if l.block == nil || l.turn != b.loop.Turn() {
		names := b.catalog.SortedNames()
		list := wire.AppendMetadataTopics(b.loop.Scratch.Empty(), len(names))
		for _, name := range names {
			list = b.appendTopic(list, version, name, false)
		}
		list = wire.AppendMetadataEnd(list, version)
		b.loop.Scratch.Keep(list)
		if l.block == nil || !bytes.Equal(l.block.Bytes()[:l.n], list) {
			blk, err := b.conns.Responses.Take(c.Conn, len(list))
			if err != nil {
				c.AwaitBlock(len(list), err)
				return nil
			}
			l.drop(&b.conns.Responses)
			l.block, l.n = blk, copy(blk.Bytes(), list)
		}
		l.turn = b.loop.Turn()
	}
	return l
}

func (l *sharedList) drop(m *conn.ResponseMemory) {
	if l.block != nil {
		m.Release(l.block)
	}
	*l = sharedList{}
}

// drop frees the lists that no response is sending, and reports whether there were any.
func (m *sharedMetadata) drop(memory *conn.ResponseMemory) (dropped bool) {
	for i := range m {
		if l := &m[i]; l.block != nil && l.block.Holds() == 1 {
			l.drop(memory)
			dropped = true
		}
	}
	return dropped
}

// sendAllTopics answers with the list of all topics, which other responses may share.
func (c *client) sendAllTopics() {
	b := c.base
	l := c.allTopics()
	if l == nil {
		return
	}
	list := l.block.Bytes()[:l.n]
	header := wire.AppendMetadataHead(b.loop.Scratch.Empty(), c.header.Version, c.header.CorrelationID, c.node())
	b.loop.Scratch.Keep(header)
	if err := wire.PatchFrameSize(header, int64(len(header)+len(list))); err != nil {
		c.Close(conn.ByProtocol, err)
		return
	}
	if mem, ok := c.Place(header); ok {
		l.block.Hold()
		c.Share(l.block)
		c.Send(append(c.Parts(), transfer.Part{Header: mem}, transfer.Part{Header: list}))
	}
}

// sendTopics answers with the topics of those names; refused are those whose creation was refused.
func (c *client) sendTopics(names []string, refused map[string]bool) {
	b := c.base
	version := c.header.Version
	out := wire.AppendMetadataHead(b.loop.Scratch.Empty(), version, c.header.CorrelationID, c.node())
	out = wire.AppendMetadataTopics(out, len(names))
	for _, name := range names {
		out = b.appendTopic(out, version, name, refused[name])
	}
	out = wire.AppendMetadataEnd(out, version)
	if err := wire.PatchFrameSize(out, int64(len(out))); err != nil {
		c.Close(conn.ByProtocol, err)
		return
	}
	c.Respond(out)
}

// appendTopic appends a topic, or the error for a missing one; refused says that its creation was refused.
func (b *base) appendTopic(dst []byte, version int16, name string, refused bool) []byte {
	tp := b.catalog.Topic(name)
	code, partitions, internal := int16(0), []*catalog.Partition(nil), false
	switch {
	case tp != nil:
		partitions, internal = tp.Partitions, tp.Internal
	case refused:
		code = wire.CodePolicyViolation
	case wire.TopicNameError([]byte(name)) != nil:
		code = wire.CodeInvalidTopic
	case b.catalog.Changing(name):
		mark.Hit("a client asked for a topic that was being made or deleted")
		code = wire.CodeLeaderNotAvailable // the client asks again shortly
	default:
		code = wire.CodeUnknownTopicOrPartition
	}
	dst = wire.AppendMetadataTopic(dst, version, code, name, internal, len(partitions))
	for _, p := range partitions {
		// An offline partition keeps its leader, so that clients ask it and get the error.
		epoch := int32(-1)
		if p.Offline == nil {
			epoch = p.Log.LeaderEpoch()
		}
		dst = wire.AppendMetadataPartition(dst, version, p.Index, b.catalog.NodeID(), epoch, p.Offline != nil)
	}
	return wire.AppendMetadataTopicEnd(dst, version)
}

// node is this broker, at the address that the client should use.
func (c *client) node() wire.MetadataNode {
	b := c.base
	host, port := c.advertised()
	return wire.MetadataNode{ID: b.catalog.NodeID(), Host: host, Port: port, ClusterID: b.catalog.ClusterID()}
}

// advertised is the address that the client should connect to.
func (c *client) advertised() (host string, port int32) {
	address := c.base.config.Advertise
	if address == "" {
		address = c.LocalAddr()
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return address, 0
	}
	n, _ := strconv.ParseInt(portText, 10, 32)
	return host, int32(n)
}
