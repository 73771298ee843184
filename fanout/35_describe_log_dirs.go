package fanout

import (
	"iter"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
)

func init() {
	register(handleDescribeLogDirs, Request{Max: 1, onlyAsks: true,
		Does: "returns the sizes of partitions",
	})
}

// handleDescribeLogDirs returns the sizes of partitions, in the only data directory.
//
// Behaviour:
//   - No list of topics means all of them. Unknown topics and partitions are omitted.
func handleDescribeLogDirs(b *base, c *client, req *kmsg.DescribeLogDirsRequest) {
	if req.Topics == nil && c.PutOff(int(b.catalog.PartitionBudget().Used())) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = b.config.DataDir
	if path, err := filepath.Abs(dir.Dir); err == nil {
		dir.Dir = path
	}
	if req.Topics == nil {
		for _, name := range b.catalog.SortedNames() {
			tp := b.catalog.Topic(name)
			dir.Topics = append(dir.Topics, logSizes(tp, tp.Online()))
		}
	}
	for i := range req.Topics {
		if tp := b.catalog.Topic(req.Topics[i].Topic); tp != nil {
			dir.Topics = append(dir.Topics, logSizes(tp, tp.These(req.Topics[i].Partitions)))
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	c.reply(resp)
}

func logSizes(tp *catalog.Topic, partitions iter.Seq[*catalog.Partition]) kmsg.DescribeLogDirsResponseDirTopic {
	topic := kmsg.DescribeLogDirsResponseDirTopic{Topic: tp.Name}
	for p := range partitions {
		size := kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: p.Index, Size: p.Log.SizeBytes()}
		topic.Partitions = append(topic.Partitions, size)
	}
	return topic
}
