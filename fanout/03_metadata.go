package fanout

import (
	"fmt"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleMetadata, Request{Max: 8, onlyAsks: true,
		Does:     "says which topics there are and where they are; creates missing ones",
		Versions: "from 4 on the client says whether a missing topic is to be created",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeLeaderNotAvailable, wire.CodeInvalidTopic,
			wire.CodePolicyViolation, wire.CodeKafkaStorageError},
	})
}

// handleMetadata says which topics there are and where they are: all on this node.
//
// Behaviour:
//   - No list of topics means all of them; so does an empty one in version 0.
//   - A topic that is asked for and missing is created, if the server and (from version 4 on) the client allow it. The
//     answer waits for that. Above --auto-create-limit topics, or without room for more, the error is POLICY_VIOLATION.
//   - The address is --advertise, or else the one that this client connected to, which it can evidently reach.
func handleMetadata(b *Broker, c *client, req *kmsg.MetadataRequest) {
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		b.sendAllTopics(c)
		return
	}
	names := metadataNames(req)
	refused := make(map[string]bool) // not created, because there are too many
	var missing []string
	if b.config.AutoCreateTopics && (req.Version < 4 || req.AllowAutoTopicCreation) {
		missing = b.catalog.Creatable(names, refused)
	}
	if len(missing) == 0 {
		if !c.PutOff(b.catalog.CountPartitions(names)) {
			b.sendTopics(c, names, refused)
		}
		return
	}
	end := c.Errand()
	b.catalog.CreateMissing(missing, refused, func() {
		if end() {
			b.sendTopics(c, names, refused)
		}
	})
}

// metadataNames are the topics that the client asked for, in its order.
func metadataNames(req *kmsg.MetadataRequest) []string {
	names := make([]string, 0, len(req.Topics))
	for i := range req.Topics {
		if t := req.Topics[i].Topic; t != nil {
			names = append(names, *t)
		}
	}
	return names
}

// sendTopics answers with the topics of those names. Those that were to be created and are refused have an error.
func (b *Broker) sendTopics(c *client, names []string, refused map[string]bool) {
	version := c.header.Version
	out := wire.AppendMetadataHead(b.scratch[:0], version, c.header.CorrelationID, b.node(c))
	out = wire.AppendMetadataTopics(out, len(names))
	for _, name := range names {
		if refused[name] && b.catalog.Topic(name) == nil {
			out = wire.AppendMetadataTopic(out, version, wire.CodePolicyViolation, name, false, 0)
			out = wire.AppendMetadataTopicEnd(out, version)
			continue
		}
		out = b.appendTopic(out, version, name)
	}
	out = wire.AppendMetadataEnd(out, version)
	if err := wire.PatchFrameSize(out, int64(len(out))); err != nil {
		c.Close(conn.ByProtocol, err)
		return
	}
	c.Respond(out)
}

// appendTopic appends what is to be said of a topic of that name.
func (b *Broker) appendTopic(dst []byte, version int16, name string) []byte {
	tp := b.catalog.Topic(name)
	code, partitions, internal := int16(0), []*catalog.Partition(nil), false
	switch {
	case tp != nil:
		partitions, internal = tp.Partitions, tp.Internal
	case wire.TopicNameError([]byte(name)) != nil:
		code = wire.CodeInvalidTopic
	case b.catalog.Changing(name):
		code = wire.CodeLeaderNotAvailable // the client asks again shortly
	default:
		code = wire.CodeUnknownTopicOrPartition
	}
	dst = wire.AppendMetadataTopic(dst, version, code, name, internal, len(partitions))
	for _, p := range partitions {
		// The leader of a refused partition stays, so that clients ask and are told what is the matter.
		epoch := int32(-1)
		if p.Offline == nil {
			epoch = p.Log.LeaderEpoch()
		}
		dst = wire.AppendMetadataPartition(dst, version, p.Index, b.catalog.NodeID(), epoch, p.Offline != nil)
	}
	return wire.AppendMetadataTopicEnd(dst, version)
}

// node is this broker, as the client of c is to know it.
func (b *Broker) node(c *client) wire.MetadataNode {
	host, port := b.advertised(c)
	return wire.MetadataNode{ID: b.catalog.NodeID(), Host: host, Port: port, ClusterID: b.catalog.ClusterID()}
}

// advertised is the address that the client of c is to connect to.
func (b *Broker) advertised(c *client) (host string, port int32) {
	address := b.config.Advertise
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

// checkAdvertise refuses an address that clients could not use.
func checkAdvertise(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--advertise %q: %w: write HOST:PORT, as in broker.example:9092", address, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return fmt.Errorf("--advertise %q: write HOST:PORT, with a port from 1 to 65535", address)
	}
	return nil
}
