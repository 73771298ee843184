package catalog

import (
	"errors"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// MaxTopicPartitions bounds the partitions of one topic: each is a directory and open files.
const MaxTopicPartitions = 10000

// CreateTopics creates topics, and calls done on the loop with a refusal for each, which is zero for a success. With onlyCheck
// it creates none.
func (c *Catalog) CreateTopics(wanted []kmsg.CreateTopicsRequestTopic, onlyCheck bool, done func([]Refusal)) {
	names := make([]string, len(wanted))
	for i := range wanted {
		names[i] = wanted[i].Topic
	}
	// Invalid names need not be reserved.
	valid := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return wire.TopicNameError([]byte(name)) != nil })
	c.request(names, valid, onlyCheck, func(_ *change, i int, twice bool) (newPartitions, Refusal) {
		return c.checkTopic(&wanted[i], twice)
	}, done)
}

// request makes the partitions that a client asks for, one topic for each name. check decides about one of them once the names are
// reserved; twice says that the request has the name twice.
func (c *Catalog) request(
	names, reserve []string, onlyCheck bool, check func(ch *change, i int, twice bool) (newPartitions, Refusal), done func([]Refusal),
) {
	refused := make([]Refusal, len(names))
	plan := func(ch *change) (planned []newPartitions) {
		seen := make(map[string]bool, len(names))
		for i, name := range names {
			var n newPartitions
			if n, refused[i] = check(ch, i, seen[name]); refused[i].Code == 0 {
				refused[i] = c.takeRoom(n.counted(), onlyCheck)
			}
			if seen[name] = true; refused[i].Code == 0 {
				planned = append(planned, n)
			}
		}
		return planned
	}
	if onlyCheck {
		plan(nil)
		done(refused)
		return
	}
	c.create(reserve, plan, func(failed map[string]error) {
		for i, name := range names {
			if err := failed[name]; err != nil && refused[i].Code == 0 {
				refused[i] = Refusal{wire.CodeKafkaStorageError, err.Error()}
			}
		}
		done(refused)
	})
}

// takeRoom takes room for n partitions, or with onlyCheck reports whether there is some.
func (c *Catalog) takeRoom(n int, onlyCheck bool) Refusal {
	if err := c.room.take(n); err != nil {
		return Refusal{wire.CodePolicyViolation, err.Error()}
	}
	if onlyCheck {
		c.room.give(n)
	}
	return Refusal{}
}

// checkTopic plans a topic that a client asks for, or refuses it by the first thing that is wrong with it.
func (c *Catalog) checkTopic(want *kmsg.CreateTopicsRequestTopic, twice bool) (n newPartitions, _ Refusal) {
	partitions := int(want.NumPartitions)
	switch {
	case len(want.ReplicaAssignment) > 0:
		partitions = len(want.ReplicaAssignment)
	case want.NumPartitions == -1:
		partitions = c.config.NewPartitions
	}
	err := wire.TopicNameError([]byte(want.Topic))
	switch {
	case err != nil:
		return n, Refusal{wire.CodeInvalidTopic, err.Error()}
	case want.Topic == c.config.Internal:
		return n, Refuse(wire.CodeInvalidTopic, "topic %s is internal: the server creates it for the first group", want.Topic)
	case c.byName[want.Topic] != nil:
		return n, Refuse(wire.CodeTopicAlreadyExists, "topic %s exists", want.Topic)
	case twice:
		return n, Refuse(wire.CodeInvalidRequest, "topic %s is in the request twice", want.Topic)
	case partitions < 1 || partitions > MaxTopicPartitions:
		return n, Refuse(wire.CodeInvalidPartitions, "%d partitions were asked for, allowed are 1 to %d", partitions, MaxTopicPartitions)
	case want.ReplicationFactor != -1 && want.ReplicationFactor != 1 && len(want.ReplicaAssignment) == 0:
		return n, Refuse(wire.CodeInvalidReplicationFactor,
			"replication factor %d was asked for, this is one node: use 1 or -1", want.ReplicationFactor)
	}
	for _, a := range want.ReplicaAssignment {
		if !c.isThisNode(a.Replicas) || int(a.Partition) >= partitions || a.Partition < 0 {
			return n, Refuse(wire.CodeInvalidReplicaAssignment,
				"partition %d is assigned to %v, this is node %d alone", a.Partition, a.Replicas, c.NodeID())
		}
	}
	set := make(map[string]string)
	for _, s := range want.Configs {
		if _, again := set[s.Name]; again || s.Value == nil {
			return n, Refuse(wire.CodeInvalidConfig, "%s needs one value", s.Name)
		}
		set[s.Name] = *s.Value
	}
	config, err := topicConfigOf(c.config.Defaults, set, c.config.MaxBatchBytes)
	if err != nil {
		return n, Refusal{wire.CodeInvalidConfig, err.Error()}
	}
	return newPartitions{topic: want.Topic, end: partitions, config: config}, Refusal{}
}

// isThisNode says that a partition is assigned to this node, which is the only one.
func (c *Catalog) isThisNode(replicas []int32) bool {
	return len(replicas) == 1 && replicas[0] == c.NodeID()
}

// AddPartitions gives topics more partitions, and calls done on the loop with a refusal for each. With onlyCheck it adds none.
func (c *Catalog) AddPartitions(wanted []kmsg.CreatePartitionsRequestTopic, onlyCheck bool, done func([]Refusal)) {
	names := make([]string, len(wanted))
	for i := range wanted {
		names[i] = wanted[i].Topic
	}
	c.request(names, c.existing(names), onlyCheck, func(ch *change, i int, twice bool) (n newPartitions, _ Refusal) {
		if ch != nil && !ch.holds(names[i]) { // it did not exist when the request came
			return n, Refusal{Code: wire.CodeUnknownTopicOrPartition}
		}
		tp := c.byName[names[i]]
		if refused := c.checkMore(&wanted[i], tp, twice); refused.Code != 0 {
			return n, refused
		}
		return newPartitions{topic: tp.Name, first: len(tp.Partitions), end: int(wanted[i].Count), config: tp.Config,
			id: tp.Partitions[0].Log.TopicID()}, Refusal{}
	}, done)
}

// checkMore checks a request for more partitions; tp is nil for an unknown topic.
func (c *Catalog) checkMore(want *kmsg.CreatePartitionsRequestTopic, tp *Topic, twice bool) Refusal {
	switch {
	case twice:
		return Refuse(wire.CodeInvalidRequest, "topic %s is in the request twice", want.Topic)
	case tp == nil:
		return Refusal{Code: wire.CodeUnknownTopicOrPartition}
	case tp.Internal:
		return Refuse(wire.CodeInvalidTopic, "topic %s is the server's own", want.Topic)
	case tp.Offline() > 0:
		return Refuse(wire.CodeKafkaStorageError, "%d partitions of topic %s are offline: see the server's log", tp.Offline(), want.Topic)
	}
	added := int(want.Count) - len(tp.Partitions)
	switch assigned := len(want.Assignment); {
	case want.Count > MaxTopicPartitions || added < 1:
		return Refuse(wire.CodeInvalidPartitions, "topic %s has %d partitions; a larger number up to %d is allowed, not %d",
			want.Topic, len(tp.Partitions), MaxTopicPartitions, want.Count)
	case assigned > 0 && assigned != added:
		return Refuse(wire.CodeInvalidReplicaAssignment, "%d partitions would be added, %d are assigned", added, assigned)
	}
	for _, a := range want.Assignment {
		if !c.isThisNode(a.Replicas) {
			return Refuse(wire.CodeInvalidReplicaAssignment, "a partition is assigned to %v, this is node %d alone", a.Replicas, c.NodeID())
		}
	}
	return Refusal{}
}

// errTooManyTopics refuses to create topics automatically.
var errTooManyTopics = errors.New("the limit on automatically created topics is reached: raise --auto-create-limit, or create topics with an admin client")

// Creatable returns the names for which a topic can be created automatically. It adds those beyond the limit to refused.
func (c *Catalog) Creatable(names []string, refused map[string]bool) (missing []string) {
	left := c.config.AutoCreateLimit - len(c.byName)
	for _, name := range names {
		exists := c.byName[name] != nil || c.changes.has(name) || name == c.config.Internal
		switch {
		case exists || wire.TopicNameError([]byte(name)) != nil:
		case len(missing) >= left:
			refused[name] = true
		default:
			missing = append(missing, name)
		}
	}
	c.logRefused(len(refused), errTooManyTopics)
	return missing
}

// CreateMissing creates the topics that still do not exist when it runs, and calls done on the loop. It adds those without room to
// refused.
func (c *Catalog) CreateMissing(names []string, refused map[string]bool, done func()) {
	plan := func(*change) (planned []newPartitions) {
		for _, name := range names {
			if c.byName[name] != nil {
				continue
			}
			err := errTooManyTopics
			if len(c.byName)+len(planned) < c.config.AutoCreateLimit {
				err = c.room.take(c.config.NewPartitions)
			}
			if err != nil {
				refused[name] = true
				c.logRefused(1, err)
				continue
			}
			planned = append(planned, newPartitions{topic: name, end: c.config.NewPartitions, config: c.config.Defaults})
		}
		return planned
	}
	c.create(names, plan, func(map[string]error) { done() })
}

func (c *Catalog) logRefused(topics int, why error) {
	if topics > 0 {
		c.refusalLog.Warn(c.loop, "topics that a client asked for are not created", "topics", topics, "reason", why,
			"limit", c.config.AutoCreateLimit)
	}
}

// CreateInternal creates the server's own topic, and calls done on the loop.
func (c *Catalog) CreateInternal(done func(tp *Topic, err error)) {
	name := c.config.Internal
	plan := func(*change) []newPartitions {
		return []newPartitions{{topic: name, end: 1, config: c.internalConfig(), internal: true}}
	}
	c.create([]string{name}, plan, func(failed map[string]error) { done(c.byName[name], failed[name]) })
}

// internalConfig is the configuration of the server's own topic.
func (c *Catalog) internalConfig() *TopicConfig {
	config, err := topicConfigOf(c.config.Defaults, c.config.InternalSettings, math.MaxInt32)
	if err != nil {
		panic("catalog: the configuration of the server's own topic: " + err.Error())
	}
	return config
}
