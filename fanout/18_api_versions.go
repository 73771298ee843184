package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

func init() {
	registerRaw(wire.KeyApiVersions, handleApiVersions, Request{Max: 3, onlyAsks: true,
		Does:     "lists the served requests and their versions",
		Versions: "3 has a request header with tags, and is the only flexible one; its response is built as in the others (KIP-511)",
		Errors:   []int16{wire.CodeUnsupportedVersion},
	})
}

// handleApiVersions lists the served requests and their versions.
//
// Behaviour:
//   - An unsupported version is answered in version 0 with UNSUPPORTED_VERSION and the list, from which the client chooses
//     again (KIP-511).
func handleApiVersions(b *base, c *client) error {
	resp := kmsg.NewPtrApiVersionsResponse()
	if resp.Version = c.header.Version; resp.Version < 0 || resp.Version > requestOf(wire.KeyApiVersions).Max {
		resp.Version, resp.ErrorCode = 0, wire.CodeUnsupportedVersion
	}
	for _, r := range Requests() {
		resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: r.Key, MinVersion: r.Min, MaxVersion: r.Max})
	}
	c.reply(resp)
	return nil
}
