//go:build interop

package interop

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The pattern of librdkafka's test 0118: two consumers that start one after the other share the partitions in the group's
// first generation. The group's record in the offsets topic has the assignment that was handed out.
func TestTwoConsumersThatStartTogetherMeetInTheFirstGeneration(t *testing.T) {
	t.Parallel()
	// As long as in Apache Kafka, whatever the machine is busy with: how soon the second process runs is not what is tested.
	s := startServer(t, t.TempDir(), "--group-lone-member-delay", "10s", "--group-initial-rebalance-delay", "10s")
	createTopic(t, s.address, "feed", 2)
	d := prepareLibrdkafka(t, t.TempDir())
	admin := kadm.NewClient(newFranz(t, s.address))
	for n := range 2 {
		d.startMember(t, s.address, "feed", "g")
		await(t, rebalancePatience, func() bool {
			groups, err := admin.DescribeGroups(within(t), "g")
			return err == nil && (len(groups["g"].Members) > n || groups["g"].State == "Stable")
		})
	}
	reader := newFranz(t, s.address, kgo.ConsumeTopics("__consumer_offsets"))
	for ctx := within(t); ; {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatal("no generation of the group was written")
		}
		for _, r := range fetches.Records() {
			var key kmsg.GroupMetadataKey
			var value kmsg.GroupMetadataValue
			if key.ReadFrom(r.Key) != nil || key.Version != 2 || value.ReadFrom(r.Value) != nil {
				continue // an offset
			}
			if key.Group != "g" || value.Generation != 1 || len(value.Members) != 2 {
				t.Errorf("group %s: generation %d has %d members, want 2 in the first", key.Group, value.Generation, len(value.Members))
			}
			return
		}
	}
}
