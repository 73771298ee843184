package fanout

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeLogDirs says how large the partitions are, in the one directory that there is.
//
// Behaviour:
//   - No list of topics means all of them. What there is not is left out.
//
// Versions: 0 and 1.
func (b *Broker) handleDescribeLogDirs(req *kmsg.DescribeLogDirsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = b.topics.dir
	if path, err := filepath.Abs(dir.Dir); err == nil {
		dir.Dir = path
	}
	if req.Topics == nil {
		for _, name := range slices.Sorted(maps.Keys(b.topics.byName)) {
			dir.Topics = append(dir.Topics, logSizes(b.topics.byName[name], nil))
		}
	}
	for i := range req.Topics {
		if tp := b.topics.byName[req.Topics[i].Topic]; tp != nil {
			wanted := req.Topics[i].Partitions
			dir.Topics = append(dir.Topics, logSizes(tp, func(index int32) bool { return slices.Contains(wanted, index) }))
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	return resp
}

// logSizes are the sizes of those of a topic's partitions that are wanted; nil wants all.
func logSizes(tp *topic, wanted func(index int32) bool) kmsg.DescribeLogDirsResponseDirTopic {
	topic := kmsg.NewDescribeLogDirsResponseDirTopic()
	topic.Topic = tp.name
	for p := range tp.served() {
		if wanted != nil && !wanted(p.index) {
			continue
		}
		r := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		r.Partition, r.Size = p.index, p.log.SizeBytes()
		topic.Partitions = append(topic.Partitions, r)
	}
	return topic
}
