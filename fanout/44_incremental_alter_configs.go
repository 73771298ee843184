package fanout

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// handleIncrementalAlterConfigs changes the configuration of topics.
//
// Behaviour:
//   - All changes to one topic take effect together or not at all, and are on disk before the answer.
//   - A topic that is named twice gets the changes in the order of the request.
//   - Names that do not exist here, values out of their limits, and cleanup.policy=compact are refused by name.
//   - The broker's own settings are refused, flags set them, and so are those of its own topic, __consumer_offsets.
//
// Versions: 0.
func (b *Broker) handleIncrementalAlterConfigs(c *client, req *kmsg.IncrementalAlterConfigsRequest) {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for i := range req.Resources {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		resp.Resources = append(resp.Resources, r)
	}
	end := c.errand()
	b.alterNext(req, resp, 0, func() {
		if end() {
			b.reply(c, resp)
		}
	})
}

// alterNext changes the resources of a request from i on, one after the other, and then calls done.
func (b *Broker) alterNext(req *kmsg.IncrementalAlterConfigsRequest, resp *kmsg.IncrementalAlterConfigsResponse, i int, done func()) {
	if i == len(req.Resources) {
		done()
		return
	}
	r := &resp.Resources[i]
	b.alterOne(&req.Resources[i], req.ValidateOnly, func(code int16, message string) {
		if r.ErrorCode = code; message != "" {
			r.ErrorMessage = kmsg.StringPtr(message)
		}
		b.alterNext(req, resp, i+1, done)
	})
}

func (b *Broker) alterOne(want *kmsg.IncrementalAlterConfigsRequestResource, validateOnly bool, done func(code int16, message string)) {
	switch {
	case want.ResourceType == kmsg.ConfigResourceTypeBroker:
		done(wire.CodeInvalidRequest, "the broker's settings are flags: oneplusn serve --help lists them")
		return
	case want.ResourceType != kmsg.ConfigResourceTypeTopic:
		done(wire.CodeInvalidRequest, fmt.Sprintf("resources of type %s have no configuration here, topics do", want.ResourceType))
		return
	}
	// The change is worked out when its turn has come: it starts from what the one before it left.
	b.topics.changes.enter([]string{want.ResourceName}, func(job *dirJob) {
		b.alterHeld(want, validateOnly, func(code int16, message string) {
			job.release()
			done(code, message)
		})
	})
}

// alterHeld changes the configuration of a topic whose name is held.
func (b *Broker) alterHeld(want *kmsg.IncrementalAlterConfigsRequestResource, validateOnly bool, done func(code int16, message string)) {
	tp := b.topics.byName[want.ResourceName]
	if tp == nil {
		done(wire.CodeUnknownTopicOrPartition, "")
		return
	}
	if tp.internal {
		done(wire.CodePolicyViolation, fmt.Sprintf("topic %s is the server's own, and so is its configuration", tp.name))
		return
	}
	if tp.unusable != nil { // its file has more than is known
		done(wire.CodeKafkaStorageError, tp.unusable.Error())
		return
	}
	config, code, err := b.altered(tp, want.Configs)
	if err != nil || validateOnly {
		done(code, errorText(err))
		return
	}
	b.writeAltered(tp, config, done)
}

// altered is the configuration that a topic has after changes, all of which must be possible.
func (b *Broker) altered(tp *topic, changes []kmsg.IncrementalAlterConfigsRequestResourceConfig) (*topicConfig, int16, error) {
	set := tp.config.set
	seen := make(map[string]bool, len(changes))
	for _, change := range changes {
		switch {
		case settingOf(change.Name) == nil:
			return nil, wire.CodeInvalidConfig, fmt.Errorf("%s is not a setting of topics here (%s)", change.Name, settingNames())
		case seen[change.Name]:
			return nil, wire.CodeInvalidRequest, fmt.Errorf("%s is changed twice", change.Name)
		case change.Op == kmsg.IncrementalAlterConfigOpSet && change.Value != nil:
			set = set.with(change.Name, *change.Value)
		case change.Op == kmsg.IncrementalAlterConfigOpDelete:
			set = set.without(change.Name)
		default:
			return nil, wire.CodeInvalidConfig, fmt.Errorf("%s: it can be set and deleted, not changed by %s", change.Name, change.Op)
		}
		seen[change.Name] = true
	}
	config, err := topicConfigOf(b.topics.defaults, set, b.config.MaxRequestBytes)
	if err != nil {
		return nil, wire.CodeInvalidConfig, err
	}
	return config, 0, nil
}

// writeAltered writes a changed configuration down and puts it into effect.
func (b *Broker) writeAltered(tp *topic, config *topicConfig, done func(code int16, message string)) {
	fs, path := b.topics.fs, topicConfigPath(b.topics.dir, tp.name)
	var err error
	b.loop.Go(func() { err = writeTopicConfig(fs, path, config.set) }, func() {
		if b.topics.byName[tp.name] != tp {
			panic("fanout: topic " + tp.name + " changed while it was configured: its name was not held")
		}
		if err != nil {
			b.loop.Log.Error("a topic's configuration could not be changed", "topic", tp.name, "error", err, "remedy", storageRemedy(err))
			done(wire.CodeKafkaStorageError, err.Error())
			return
		}
		b.configure(tp, config)
		b.loop.Log.Info("topic configured", "topic", tp.name, "set", config.set)
		done(0, "")
	})
}

// configure puts a configuration into effect.
func (b *Broker) configure(tp *topic, config *topicConfig) {
	tp.config = config
	for p := range tp.served() {
		p.log.Configure(config.options)
		b.commitChanged(p)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
