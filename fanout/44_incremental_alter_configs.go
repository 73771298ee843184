package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleIncrementalAlterConfigs, Request{Max: 0,
		Does: "changes the configuration of topics",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeInvalidConfig, wire.CodeInvalidRequest,
			wire.CodePolicyViolation, wire.CodeKafkaStorageError},
	})
}

// handleIncrementalAlterConfigs changes the configuration of topics.
//
// Behaviour:
//   - All changes to one topic take effect together or not at all, and are on disk before the answer.
//   - A topic that is named twice gets the changes in the order of the request.
//   - Names that do not exist here, values out of their limits, and cleanup.policy=compact are refused by name.
//   - The broker's own settings are refused, flags set them, and so are those of its own topic, __consumer_offsets.
func handleIncrementalAlterConfigs(b *base, c *client, req *kmsg.IncrementalAlterConfigsRequest) {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for i := range req.Resources {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		resp.Resources = append(resp.Resources, r)
	}
	end := c.Errand()
	alterNext(b, req, resp, 0, func() {
		if end() {
			c.reply(resp)
		}
	})
}

// alterNext changes the resources of a request from i on, one after the other, and then calls done.
func alterNext(b *base, req *kmsg.IncrementalAlterConfigsRequest, resp *kmsg.IncrementalAlterConfigsResponse, i int, done func()) {
	if i == len(req.Resources) {
		done()
		return
	}
	r := &resp.Resources[i]
	alterOne(b.catalog, &req.Resources[i], req.ValidateOnly, func(refused catalog.Refusal) {
		r.ErrorCode, r.ErrorMessage = refused.Answer()
		alterNext(b, req, resp, i+1, done)
	})
}

func alterOne(
	topics *catalog.Catalog, want *kmsg.IncrementalAlterConfigsRequestResource, validateOnly bool, done func(catalog.Refusal),
) {
	switch want.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
	case kmsg.ConfigResourceTypeBroker:
		done(catalog.Refuse(wire.CodeInvalidRequest, "the broker's settings are flags: oneplusn serve --help lists them"))
		return
	default:
		done(catalog.Refuse(wire.CodeInvalidRequest, "resources of type %s have no configuration here, topics do", want.ResourceType))
		return
	}
	changes := make([]catalog.SettingChange, len(want.Configs))
	for i, c := range want.Configs {
		changes[i] = catalog.SettingChange{Name: c.Name, Remove: c.Op == kmsg.IncrementalAlterConfigOpDelete}
		switch {
		case changes[i].Remove:
		case c.Op == kmsg.IncrementalAlterConfigOpSet && c.Value != nil:
			changes[i].Value = *c.Value
		default:
			changes[i].Refused = catalog.Refuse(wire.CodeInvalidConfig, "%s: it can be set and deleted, not changed by %s", c.Name, c.Op)
		}
	}
	topics.Configure(want.ResourceName, changes, validateOnly, done)
}
