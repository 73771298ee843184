package fanout

import (
	"iter"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeLogDirs says how large the partitions are, in the one directory that there is.
//
// Behaviour:
//   - No list of topics means all of them. Unknown topics and partitions are left out.
//
// Versions: 0 and 1.
func (b *Broker) handleDescribeLogDirs(c *client, req *kmsg.DescribeLogDirsRequest) {
	if req.Topics == nil && c.putOff(int(b.topics.room.partitions.Used())) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = b.config.DataDir
	if path, err := filepath.Abs(dir.Dir); err == nil {
		dir.Dir = path
	}
	if req.Topics == nil {
		for _, name := range b.topics.sortedNames() {
			tp := b.topics.byName[name]
			dir.Topics = append(dir.Topics, logSizes(tp, tp.online()))
		}
	}
	for i := range req.Topics {
		if tp := b.topics.byName[req.Topics[i].Topic]; tp != nil {
			dir.Topics = append(dir.Topics, logSizes(tp, tp.these(req.Topics[i].Partitions)))
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	b.reply(c, resp)
}

// these yields the partitions of a list that exist and are online. The cost is that of the list.
func (tp *topic) these(wanted []int32) iter.Seq[*partition] {
	return func(yield func(*partition) bool) {
		for _, index := range wanted {
			if index < 0 || int(index) >= len(tp.partitions) {
				continue
			}
			if p := tp.partitions[index]; p.refused == nil && !yield(p) {
				return
			}
		}
	}
}

// logSizes are the sizes of partitions of a topic.
func logSizes(tp *topic, partitions iter.Seq[*partition]) kmsg.DescribeLogDirsResponseDirTopic {
	topic := kmsg.NewDescribeLogDirsResponseDirTopic()
	topic.Topic = tp.name
	for p := range partitions {
		r := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		r.Partition, r.Size = p.index, p.log.SizeBytes()
		topic.Partitions = append(topic.Partitions, r)
	}
	return topic
}
