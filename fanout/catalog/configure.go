package catalog

import (
	"fmt"
	"maps"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// SettingChange sets a setting of a topic, or removes what was set.
type SettingChange struct {
	Name, Value string
	Remove      bool
	Refused     Refusal // another error of the request; reported if the setting exists
}

// Configure makes all changes of a topic's configuration or none, and calls done on the loop when they are durable. With
// onlyCheck nothing is changed.
func (c *Catalog) Configure(name string, changes []SettingChange, onlyCheck bool, done func(Refusal)) {
	// The change is computed when it runs, from the configuration that the change before it left.
	c.changes.enter([]string{name}, func(ch *change) {
		tp := c.byName[name]
		config, refused := c.checkChanges(tp, changes)
		if refused.Code != 0 || onlyCheck {
			ch.end()
			done(refused)
			return
		}
		fs, path := c.config.FS, topicConfigPath(c.config.Dir, name)
		offLoop(c.loop, func() error { return writeTopicConfig(fs, path, config.set) })(func(err error) {
			if c.byName[name] != tp {
				panic(fmt.Sprintf("catalog: topic %s changed while it was configured: its name was not reserved", name))
			}
			if err == nil {
				mark.Hit("the configuration of a topic was changed")
				c.useConfig(tp, config)
			} else {
				mark.Hit("the configuration of a topic could not be written")
				c.loop.Log.Error("a topic's configuration could not be changed", "topic", name, "error", err, "remedy", commit.StorageRemedy(err))
				refused = Refusal{wire.CodeKafkaStorageError, err.Error()}
			}
			ch.end()
			done(refused)
		})
	})
}

// useConfig puts a configuration into effect.
func (c *Catalog) useConfig(tp *Topic, config *TopicConfig) {
	c.loop.Record(eventConfigure, int64(len(tp.Partitions)))
	tp.Config = config
	for p := range tp.Online() {
		p.Log.Configure(config.Options)
		c.committer.Configure(&p.Commit, config.Flush)
	}
	c.loop.Log.Info("topic configured", "topic", tp.Name, "set", config.set)
}

// checkChanges returns the configuration that a topic has after changes, all of which must be possible.
func (c *Catalog) checkChanges(tp *Topic, changes []SettingChange) (*TopicConfig, Refusal) {
	switch {
	case tp == nil:
		return nil, Refusal{Code: wire.CodeUnknownTopicOrPartition}
	case tp.Internal:
		return nil, Refuse(wire.CodePolicyViolation, "topic %s is the server's own, and so is its configuration", tp.Name)
	case tp.unusable != nil: // its file has more than is known
		return nil, Refusal{wire.CodeKafkaStorageError, tp.unusable.Error()}
	}
	set := make(map[string]string)
	maps.Copy(set, tp.Config.set)
	seen := make(map[string]bool, len(changes))
	for _, change := range changes {
		switch {
		case settingOf(change.Name) == nil:
			return nil, Refusal{wire.CodeInvalidConfig, unknownSetting(change.Name).Error()}
		case seen[change.Name]:
			return nil, Refuse(wire.CodeInvalidRequest, "%s is changed twice", change.Name)
		case change.Refused.Code != 0:
			return nil, change.Refused
		case change.Remove:
			delete(set, change.Name)
		default:
			set[change.Name] = change.Value
		}
		seen[change.Name] = true
	}
	config, err := topicConfigOf(c.config.Defaults, set, c.config.MaxBatchBytes)
	if err != nil {
		return nil, Refusal{wire.CodeInvalidConfig, err.Error()}
	}
	return config, Refusal{}
}
