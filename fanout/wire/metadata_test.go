package wire

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The encoding by hand matches Kafka's own definitions in every version.
func TestMetadataIsEncodedAsKafkaDefinesIt(t *testing.T) {
	node := MetadataNode{ID: 7, Host: "broker.example", Port: 9092, ClusterID: "cluster"}
	for version := range int16(MetadataVersions) {
		got := AppendMetadataHead(nil, version, 42, node)
		got = AppendMetadataTopics(got, 2)
		got = AppendMetadataTopic(got, version, 0, "feed", true, 2)
		got = AppendMetadataPartition(got, version, 0, 7, 5, false)
		got = AppendMetadataPartition(got, version, 1, 7, -1, true)
		got = AppendMetadataTopicEnd(got, version)
		got = AppendMetadataTopic(got, version, CodeUnknownTopicOrPartition, "no-such-topic", false, 0)
		got = AppendMetadataTopicEnd(got, version)
		got = AppendMetadataEnd(got, version)
		if err := PatchFrameSize(got, int64(len(got))); err != nil {
			t.Fatal(err)
		}

		resp := kmsg.NewPtrMetadataResponse()
		resp.Version, resp.ControllerID, resp.ClusterID = version, node.ID, &node.ClusterID
		self := kmsg.NewMetadataResponseBroker()
		self.NodeID, self.Host, self.Port = node.ID, node.Host, node.Port
		resp.Brokers = append(resp.Brokers, self)
		feed, missing := kmsg.NewMetadataResponseTopic(), kmsg.NewMetadataResponseTopic()
		feed.Topic, feed.IsInternal = kmsg.StringPtr("feed"), true
		for i, offline := range [][]int32{{}, {7}} {
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Partition, p.Leader, p.LeaderEpoch = int32(i), 7, []int32{5, -1}[i]
			p.Replicas, p.ISR, p.OfflineReplicas = []int32{7}, []int32{7}, offline
			feed.Partitions = append(feed.Partitions, p)
		}
		missing.Topic, missing.ErrorCode = kmsg.StringPtr("no-such-topic"), CodeUnknownTopicOrPartition
		resp.Topics = append(resp.Topics, feed, missing)
		if want := AppendResponse(nil, 42, resp); !bytes.Equal(got, want) {
			t.Errorf("v%d:\n got %x\nwant %x", version, got, want)
		}
	}
}
