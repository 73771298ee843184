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
//   - Unknown names, values outside their limits, and cleanup.policy=compact are refused by name.
//   - The broker's own settings, which flags set, are refused, and so are those of __consumer_offsets.
func handleIncrementalAlterConfigs(b *base, c *client, req *kmsg.IncrementalAlterConfigsRequest) {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	resp.Resources = make([]kmsg.IncrementalAlterConfigsResponseResource, len(req.Resources))
	alterEach(c, resp, len(req.Resources), func(i int, done func()) {
		want, r := &req.Resources[i], &resp.Resources[i]
		r.ResourceType, r.ResourceName = want.ResourceType, want.ResourceName
		alter(b.catalog, want.ResourceType, want.ResourceName, settingChanges(want.Configs), req.ValidateOnly, func(refused catalog.Refusal) {
			r.ErrorCode, r.ErrorMessage = refused.Answer()
			done()
		})
	})
}

func settingChanges(configs []kmsg.IncrementalAlterConfigsRequestResourceConfig) []catalog.SettingChange {
	changes := make([]catalog.SettingChange, len(configs))
	for i, c := range configs {
		changes[i] = catalog.SettingChange{Name: c.Name, Remove: c.Op == kmsg.IncrementalAlterConfigOpDelete}
		switch {
		case changes[i].Remove:
		case c.Op == kmsg.IncrementalAlterConfigOpSet && c.Value != nil:
			changes[i].Value = *c.Value
		default:
			changes[i].Refused = catalog.Refuse(wire.CodeInvalidConfig, "%s can be set or deleted, not changed by %s", c.Name, c.Op)
		}
	}
	return changes
}

// alterEach alters n resources, and replies when all are done. Changes of one topic keep their order: see package catalog.
func alterEach(c *client, resp kmsg.Response, n int, alterNth func(i int, done func())) {
	reply, left := c.later(), n+1 // one for this function, so that it does not end before all have begun
	done := func() {
		if left--; left == 0 {
			reply(resp)
		}
	}
	for i := range n {
		alterNth(i, done)
	}
	done()
}

func alter(
	topics *catalog.Catalog, kind kmsg.ConfigResourceType, name string, changes []catalog.SettingChange, onlyCheck bool,
	done func(catalog.Refusal),
) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		topics.Configure(name, changes, onlyCheck, done)
	case kmsg.ConfigResourceTypeBroker:
		done(catalog.Refuse(wire.CodeInvalidRequest, "the broker's settings are flags: oneplusn serve --help lists them"))
	default:
		done(catalog.Refuse(wire.CodeInvalidRequest, "resources of type %s have no configuration here, topics do", kind))
	}
}
