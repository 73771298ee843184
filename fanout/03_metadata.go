package fanout

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/wire"
)

// handleMetadata says which topics there are and where they are: all on this node.
//
// Behaviour:
//   - No list of topics means all of them; so does an empty one in version 0.
//   - A topic that is asked for and missing is created, if the server and (from version 4 on) the client allow it. The
//     answer waits for that.
//   - The address is --advertise, or else the one that this client connected to, which it can evidently reach.
//
// Versions: 0 to 8.
func (b *Broker) handleMetadata(c *conn, req *kmsg.MetadataRequest) {
	names := b.metadataNames(req)
	missing := b.missingTopics(req, names)
	if len(missing) == 0 {
		b.reply(c, b.metadata(c, req, names))
		return
	}
	slot, generation := c.slot, c.generation
	b.makeLogs(missing, func(map[string]error) {
		if c := b.again(slot, generation); c != nil {
			b.reply(c, b.metadata(c, req, names))
		}
	})
}

// missingTopics are those that the request creates.
func (b *Broker) missingTopics(req *kmsg.MetadataRequest, names []string) (missing []newTopic) {
	if !b.config.AutoCreateTopics || req.Version >= 4 && !req.AllowAutoTopicCreation {
		return nil
	}
	seen := make(map[string]bool)
	for _, name := range names {
		exists := b.topics.byName[name] != nil || b.topics.making[name] || name == offsetsTopic
		if exists || seen[name] || wire.TopicNameError([]byte(name)) != nil {
			continue
		}
		seen[name] = true
		missing = append(missing, newTopic{name: name, partitions: b.config.Partitions, config: b.topics.defaults})
	}
	return missing
}

// metadataNames are the topics that the client asked for, in its order, or all in alphabetical order.
func (b *Broker) metadataNames(req *kmsg.MetadataRequest) []string {
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		return slices.Sorted(maps.Keys(b.topics.byName))
	}
	names := make([]string, 0, len(req.Topics))
	for i := range req.Topics {
		if t := req.Topics[i].Topic; t != nil {
			names = append(names, *t)
		}
	}
	return names
}

func (b *Broker) metadata(c *conn, req *kmsg.MetadataRequest, names []string) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	resp.ClusterID = kmsg.StringPtr(b.topics.meta.clusterID)
	resp.ControllerID = b.topics.meta.nodeID
	self := kmsg.NewMetadataResponseBroker()
	self.NodeID = b.topics.meta.nodeID
	self.Host, self.Port = b.advertised(c)
	resp.Brokers = append(resp.Brokers, self)
	for _, name := range names {
		resp.Topics = append(resp.Topics, b.topicMetadata(name))
	}
	return resp
}

func (b *Broker) topicMetadata(name string) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.Topic = kmsg.StringPtr(name)
	tp := b.topics.byName[name]
	switch {
	case wire.TopicNameError([]byte(name)) != nil:
		t.ErrorCode = wire.CodeInvalidTopic
		return t
	case tp == nil && b.topics.making[name]:
		t.ErrorCode = wire.CodeLeaderNotAvailable // the client asks again shortly
		return t
	case tp == nil:
		t.ErrorCode = wire.CodeUnknownTopicOrPartition
		return t
	}
	t.IsInternal = tp.internal
	node := []int32{b.topics.meta.nodeID}
	for _, p := range tp.partitions {
		r := kmsg.NewMetadataResponseTopicPartition()
		r.Partition, r.Leader = p.index, b.topics.meta.nodeID
		r.Replicas, r.ISR, r.OfflineReplicas = node, node, []int32{}
		if p.refused != nil {
			// The leader stays, so that clients ask and are told what is the matter.
			r.OfflineReplicas = node
		} else {
			r.LeaderEpoch = p.log.LeaderEpoch()
		}
		t.Partitions = append(t.Partitions, r)
	}
	return t
}

// advertised is the address that the client of c is to connect to.
func (b *Broker) advertised(c *conn) (host string, port int32) {
	address := b.config.Advertise
	if address == "" {
		address = sockaddrString(unix.Getsockname(c.fd))
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
