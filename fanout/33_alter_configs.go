package fanout

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleAlterConfigs, Request{Max: 1,
		Does: "replaces the whole configuration of topics, for tools older than IncrementalAlterConfigs (KIP-339)",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeInvalidConfig, wire.CodeInvalidRequest,
			wire.CodePolicyViolation, wire.CodeKafkaStorageError},
	})
}

// handleAlterConfigs replaces the configuration of topics.
//
// Behaviour:
//   - A setting that the request does not name goes back to its default.
//   - Otherwise it behaves like IncrementalAlterConfigs.
func handleAlterConfigs(b *base, c *client, req *kmsg.AlterConfigsRequest) {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	resp.Resources = make([]kmsg.AlterConfigsResponseResource, len(req.Resources))
	alterEach(c, resp, len(req.Resources), func(i int, done func()) {
		want, r := &req.Resources[i], &resp.Resources[i]
		r.ResourceType, r.ResourceName = want.ResourceType, want.ResourceName
		alter(b.catalog, want.ResourceType, want.ResourceName, replacement(want.Configs), req.ValidateOnly, func(refused catalog.Refusal) {
			r.ErrorCode, r.ErrorMessage = refused.Answer()
			done()
		})
	})
}

// replacement sets the named settings, and removes all others.
func replacement(configs []kmsg.AlterConfigsRequestResourceConfig) []catalog.SettingChange {
	var changes []catalog.SettingChange
	for i := range catalog.Settings {
		name := catalog.Settings[i].Name
		if !slices.ContainsFunc(configs, func(c kmsg.AlterConfigsRequestResourceConfig) bool { return c.Name == name }) {
			changes = append(changes, catalog.SettingChange{Name: name, Remove: true})
		}
	}
	for _, c := range configs {
		change := catalog.SettingChange{Name: c.Name}
		if c.Value != nil {
			change.Value = *c.Value
		} else {
			change.Refused = catalog.Refuse(wire.CodeInvalidConfig, "%s has no value: omit it to get the default", c.Name)
		}
		changes = append(changes, change)
	}
	return changes
}
