package fanout

import (
	"fmt"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
)

// settingChange sets a setting of a topic, or removes what was set.
type settingChange struct {
	name, value string
	remove      bool
	refused     refusal // what is wrong with the request; told if there is a setting of that name
}

// configure changes the configuration of a topic, wholly or not at all, and calls done on the loop when that is durable. With
// onlyCheck nothing is changed.
func (c *catalog) configure(name string, changes []settingChange, onlyCheck bool, done func(refusal)) {
	// The change is worked out when its turn has come: it starts from what the one before it left.
	c.changes.enter([]string{name}, func(ch *dirChange) {
		tp := c.byName[name]
		config, refused := c.checkChanges(tp, changes)
		if refused.code != 0 || onlyCheck {
			ch.end()
			done(refused)
			return
		}
		fs, path := c.config.fs, topicConfigPath(c.config.dir, name)
		offLoop(c.loop, func() error { return writeTopicConfig(fs, path, config.set) })(func(err error) {
			if c.byName[name] != tp {
				panic(fmt.Sprintf("fanout: topic %s changed while it was configured: its name was not reserved", name))
			}
			if err == nil {
				c.useConfig(tp, config)
			} else {
				c.loop.Log.Error("a topic's configuration could not be changed", "topic", name, "error", err, "remedy", commit.StorageRemedy(err))
				refused = refusal{wire.CodeKafkaStorageError, err.Error()}
			}
			ch.end()
			done(refused)
		})
	})
}

// useConfig puts a configuration into effect.
func (c *catalog) useConfig(tp *topic, config *topicConfig) {
	tp.config = config
	for p := range tp.online() {
		p.log.Configure(config.options)
		c.follower.partitionConfigured(p)
	}
	c.loop.Log.Info("topic configured", "topic", tp.name, "set", config.set)
}

// checkChanges returns the configuration that a topic has after changes, all of which must be possible.
func (c *catalog) checkChanges(tp *topic, changes []settingChange) (*topicConfig, refusal) {
	switch {
	case tp == nil:
		return nil, refusal{code: wire.CodeUnknownTopicOrPartition}
	case tp.internal:
		return nil, refuse(wire.CodePolicyViolation, "topic %s is the server's own, and so is its configuration", tp.name)
	case tp.unusable != nil: // its file has more than is known
		return nil, refusal{wire.CodeKafkaStorageError, tp.unusable.Error()}
	}
	set := tp.config.set
	seen := make(map[string]bool, len(changes))
	for _, change := range changes {
		switch {
		case settingOf(change.name) == nil:
			return nil, refusal{wire.CodeInvalidConfig, unknownSetting(change.name).Error()}
		case seen[change.name]:
			return nil, refuse(wire.CodeInvalidRequest, "%s is changed twice", change.name)
		case change.refused.code != 0:
			return nil, change.refused
		case change.remove:
			set = set.without(change.name)
		default:
			set = set.with(change.name, change.value)
		}
		seen[change.name] = true
	}
	config, err := topicConfigOf(c.config.defaults, set, c.config.maxBatchBytes)
	if err != nil {
		return nil, refusal{wire.CodeInvalidConfig, err.Error()}
	}
	return config, refusal{}
}
