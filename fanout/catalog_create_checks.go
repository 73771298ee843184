package fanout

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"oneplusn/fanout/wire"
)

// refusal is why something that a client asked for is not done: a Kafka error, and what its user is told. The zero value is none.
type refusal struct {
	code    int16
	message string
}

func refuse(code int16, format string, args ...any) refusal {
	return refusal{code, fmt.Sprintf(format, args...)}
}

// maxTopicPartitions bounds the partitions of one topic: each is a directory and open files.
const maxTopicPartitions = 10000

// wantedTopic is a topic that a client asks to be created.
type wantedTopic struct {
	name       string
	partitions int
	settings   map[string]string
	refused    refusal // what else is wrong with the request; told if the name is good
}

// createTopics creates topics, and calls done on the loop with what is refused of each. With onlyCheck nothing is created.
func (c *catalog) createTopics(wanted []wantedTopic, onlyCheck bool, done func([]refusal)) {
	refused := make([]refusal, len(wanted))
	names := make([]string, len(wanted))
	for i := range wanted {
		names[i] = wanted[i].name
	}
	plan := func(*dirChange) (planned []newPartitions) {
		seen := make(map[string]bool)
		for i := range wanted {
			want := &wanted[i]
			var config *topicConfig
			if config, refused[i] = c.checkTopic(want, seen[want.name]); refused[i].code == 0 {
				refused[i] = c.takeRoom(want.partitions, onlyCheck)
			}
			if seen[want.name] = true; refused[i].code == 0 {
				planned = append(planned, newPartitions{topic: want.name, end: want.partitions, config: config})
			}
		}
		return planned
	}
	if onlyCheck {
		plan(nil)
		done(refused)
		return
	}
	// Nobody else can be concerned with names that a topic cannot have.
	valid := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return wire.TopicNameError([]byte(name)) != nil })
	c.create(valid, plan, func(failed map[string]error) { done(addFailed(refused, names, failed)) })
}

// addFailed refuses what could not be made.
func addFailed(refused []refusal, names []string, failed map[string]error) []refusal {
	for i, name := range names {
		if err := failed[name]; err != nil && refused[i].code == 0 {
			refused[i] = refusal{wire.CodeKafkaStorageError, err.Error()}
		}
	}
	return refused
}

// takeRoom takes room for n partitions, or with onlyCheck reports whether there is some.
func (c *catalog) takeRoom(n int, onlyCheck bool) refusal {
	if err := c.room.take(n); err != nil {
		return refusal{wire.CodePolicyViolation, err.Error()}
	}
	if onlyCheck {
		c.room.give(n)
	}
	return refusal{}
}

// checkTopic checks a topic that is to be created, and derives its configuration.
func (c *catalog) checkTopic(want *wantedTopic, twice bool) (*topicConfig, refusal) {
	err := wire.TopicNameError([]byte(want.name))
	switch {
	case err != nil:
		return nil, refusal{wire.CodeInvalidTopic, err.Error()}
	case want.name == c.config.internal:
		return nil, refuse(wire.CodeInvalidTopic, "topic %s is the server's own, and made when the first group needs it", want.name)
	case c.byName[want.name] != nil:
		return nil, refuse(wire.CodeTopicAlreadyExists, "topic %s exists", want.name)
	case twice:
		return nil, refuse(wire.CodeInvalidRequest, "topic %s is in the request twice", want.name)
	case want.partitions < 1 || want.partitions > maxTopicPartitions:
		return nil, refuse(wire.CodeInvalidPartitions, "%d partitions were asked for, allowed are 1 to %d", want.partitions, maxTopicPartitions)
	case want.refused.code != 0:
		return nil, want.refused
	}
	config, err := topicConfigOf(c.config.defaults, newOverrides(want.settings), c.config.maxBatchBytes)
	if err != nil {
		return nil, refusal{wire.CodeInvalidConfig, err.Error()}
	}
	return config, refusal{}
}

// wantedPartitions is a topic that a client asks to have more partitions.
type wantedPartitions struct {
	topic    string
	count    int // of all partitions afterwards
	assigned int // how many the client assigns to nodes; 0 for none
	refused  refusal
}

// addPartitions gives topics more partitions, and calls done on the loop with what is refused of each. With onlyCheck it adds none.
func (c *catalog) addPartitions(wanted []wantedPartitions, onlyCheck bool, done func([]refusal)) {
	refused := make([]refusal, len(wanted))
	names := make([]string, len(wanted))
	for i := range wanted {
		names[i] = wanted[i].topic
	}
	plan := func(ch *dirChange) (planned []newPartitions) {
		seen := make(map[string]bool)
		for i := range wanted {
			want := &wanted[i]
			tp := c.byName[want.topic]
			if onlyCheck || ch.holds(want.topic) {
				refused[i] = want.check(tp, seen[want.topic])
			} else { // it did not exist when the request came
				refused[i] = refusal{code: wire.CodeUnknownTopicOrPartition}
			}
			if refused[i].code == 0 {
				refused[i] = c.takeRoom(want.count-len(tp.partitions), onlyCheck)
			}
			if seen[want.topic] = true; refused[i].code == 0 {
				planned = append(planned, newPartitions{topic: tp.name, first: len(tp.partitions), end: want.count, config: tp.config,
					id: tp.partitions[0].log.TopicID()})
			}
		}
		return planned
	}
	if onlyCheck {
		plan(nil)
		done(refused)
		return
	}
	c.create(c.existing(names), plan, func(failed map[string]error) { done(addFailed(refused, names, failed)) })
}

// check checks a topic that is to have more partitions; tp is nil if there is none.
func (want *wantedPartitions) check(tp *topic, twice bool) refusal {
	switch {
	case twice:
		return refuse(wire.CodeInvalidRequest, "topic %s is in the request twice", want.topic)
	case tp == nil:
		return refusal{code: wire.CodeUnknownTopicOrPartition}
	case tp.internal:
		return refuse(wire.CodeInvalidTopic, "topic %s is the server's own", want.topic)
	case tp.offline() > 0:
		return refuse(wire.CodeKafkaStorageError, "%d partitions of topic %s are refused: see the server's log", tp.offline(), want.topic)
	case want.count > maxTopicPartitions || want.count <= len(tp.partitions):
		return refuse(wire.CodeInvalidPartitions, "topic %s has %d partitions; allowed are more, up to %d, not %d",
			want.topic, len(tp.partitions), maxTopicPartitions, want.count)
	case want.assigned > 0 && want.assigned != want.count-len(tp.partitions):
		return refuse(wire.CodeInvalidReplicaAssignment, "%d partitions are to be made, %d are assigned",
			want.count-len(tp.partitions), want.assigned)
	}
	return want.refused
}

// errTooManyTopics says that asking for topics creates no more of them.
var errTooManyTopics = errors.New("there are as many topics as asking for one may create: raise --auto-create-limit, or create topics with an admin client")

// creatable are those of the names that asking for them creates. The others with an entry in refused would make too many.
func (c *catalog) creatable(names []string, refused map[string]bool) (missing []string) {
	left := c.config.autoCreateLimit - len(c.byName)
	for _, name := range names {
		exists := c.byName[name] != nil || c.changes.has(name) || name == c.config.internal
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

// createMissing creates those of the topics that still do not exist when their turn comes, and calls done on the loop. What
// there is no room for is added to refused.
func (c *catalog) createMissing(names []string, refused map[string]bool, done func()) {
	plan := func(*dirChange) (planned []newPartitions) {
		for _, name := range names {
			if c.byName[name] != nil {
				continue
			}
			err := errTooManyTopics
			if len(c.byName)+len(planned) < c.config.autoCreateLimit {
				err = c.room.take(c.config.newPartitions)
			}
			if err != nil {
				refused[name] = true
				c.logRefused(1, err)
				continue
			}
			planned = append(planned, newPartitions{topic: name, end: c.config.newPartitions, config: c.config.defaults})
		}
		return planned
	}
	c.create(names, plan, func(map[string]error) { done() })
}

func (c *catalog) logRefused(topics int, why error) {
	if topics > 0 {
		c.refusalLog.Warn(c.loop.Log, c.loop.Now(), "topics that a client asked for are not created", "topics", topics, "reason", why,
			"limit", c.config.autoCreateLimit)
	}
}

// createInternal creates the server's own topic, and calls done on the loop.
func (c *catalog) createInternal(done func(tp *topic, err error)) {
	name := c.config.internal
	plan := func(*dirChange) []newPartitions {
		return []newPartitions{{topic: name, end: 1, config: c.internalConfig(), internal: true}}
	}
	c.create([]string{name}, plan, func(failed map[string]error) { done(c.byName[name], failed[name]) })
}

// internalConfig is the configuration of the server's own topic.
func (c *catalog) internalConfig() *topicConfig {
	config, err := topicConfigOf(c.config.defaults, newOverrides(c.config.internalSettings), math.MaxInt32)
	if err != nil {
		panic("fanout: the configuration of the server's own topic: " + err.Error())
	}
	return config
}
