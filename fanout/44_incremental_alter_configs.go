package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

func init() {
	register(handleIncrementalAlterConfigs, Request{Max: 0,
		Does: "changes the configuration of topics", Errors: alterErrors,
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
	alterEach(b.catalog, c, resp, len(req.Resources), req.ValidateOnly, func(i int) alteration {
		want, r := &req.Resources[i], &resp.Resources[i]
		r.ResourceType, r.ResourceName = want.ResourceType, want.ResourceName
		return alteration{want.ResourceType, want.ResourceName, settingChanges(want.Configs), &r.ErrorCode, &r.ErrorMessage}
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

// alterErrors are what altering a resource may be refused with.
var alterErrors = []int16{wire.CodeUnknownTopicOrPartition, wire.CodeInvalidConfig, wire.CodeInvalidRequest, wire.CodePolicyViolation,
	wire.CodeKafkaStorageError}

// alteration is one resource of a request to alter configurations, and where its answer goes.
type alteration struct {
	kind    kmsg.ConfigResourceType
	name    string
	changes []catalog.SettingChange
	code    *int16
	message **string
}

// alterEach alters n resources one after the other, and then replies. So a request has one change waiting, however many it names,
// and none once its client has gone. Those that are refused at once are a loop and no recursion, which would take stack for each.
func alterEach(topics *catalog.Catalog, c *client, resp kmsg.Response, n int, onlyCheck bool, nth func(i int) alteration) {
	reply, ended, looping := c.later(), 0, false
	var next func()
	next = func() {
		if looping {
			return
		}
		for looping = true; ended < n && c.Open(); {
			a, i := nth(ended), ended
			a.run(topics, onlyCheck, func(refused catalog.Refusal) {
				*a.code, *a.message = refused.Answer()
				ended++
				next()
			})
			if ended == i {
				looping = false
				return
			}
		}
		mark.HitIf(ended < n, "a client left before all configurations that it named were changed")
		reply(resp)
	}
	next()
}

func (a *alteration) run(topics *catalog.Catalog, onlyCheck bool, done func(catalog.Refusal)) {
	switch a.kind {
	case kmsg.ConfigResourceTypeTopic:
		topics.Configure(a.name, a.changes, onlyCheck, done)
	case kmsg.ConfigResourceTypeBroker:
		done(catalog.Refuse(wire.CodeInvalidRequest, "the broker's settings are flags: oneplusn serve --help lists them"))
	default:
		done(catalog.Refuse(wire.CodeInvalidRequest, "resources of type %s have no configuration here, topics do", a.kind))
	}
}
