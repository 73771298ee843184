package fanout

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleAlterConfigs, Request{Max: 1,
		Does: "replaces the whole configuration of topics, for tools older than IncrementalAlterConfigs (KIP-339)", Errors: alterErrors,
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
	alterEach(b.catalog, c, resp, len(req.Resources), req.ValidateOnly, func(i int) alteration {
		want, r := &req.Resources[i], &resp.Resources[i]
		r.ResourceType, r.ResourceName = want.ResourceType, want.ResourceName
		return alteration{want.ResourceType, want.ResourceName, replacement(want.Configs), &r.ErrorCode, &r.ErrorMessage}
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
