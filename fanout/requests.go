package fanout

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Request describes one kind of request. Its file registers it; the answer to ApiVersions and docs/protocol.md come from the registry.
// Two places besides know single requests: client tells Produce and Fetch apart, whose state it keeps, and wire/repeats.go has the
// requests whose repeated names it drops. Clients avoid requests that ApiVersions does not list. Only ApiVersions 3 is flexible
// (KIP-482): every client in use negotiates down to these versions.
type Request struct {
	// Min and Max are the versions that are advertised. AcceptMin is the lowest that is read, by default Min.
	Key, Min, Max, AcceptMin int16
	// Does completes a sentence that begins with the request's name. Versions tells how they differ, and why others are missing.
	Does, Versions string
	// Errors are the error codes that an answer may have, besides 0.
	Errors []int16

	// onlyAsks says that a request changes nothing, so it can be answered twice.
	onlyAsks bool
	answer   func(*base, *client) error
}

// maxKey bounds the keys of requests.
const maxKey = 96

var served [maxKey]*Request

// Requests lists the served requests, in the order of their keys.
func Requests() []*Request {
	return slices.DeleteFunc(slices.Clone(served[:]), func(r *Request) bool { return r == nil })
}

// requestOf is nil if no version of the request is served.
func requestOf(key int16) *Request {
	if key < 0 || key >= maxKey {
		return nil
	}
	return served[key]
}

// readVersions are the versions of a request that are read: see [wire.ParseHeader].
func readVersions(key int16) (lowest, highest int16, ok bool) {
	if r := requestOf(key); r != nil {
		return r.AcceptMin, r.Max, true
	}
	return 0, 0, false
}

// register lists a request that is decoded by kmsg.
func register[R kmsg.Request](handle func(*base, *client, R), r Request) {
	var request R
	registerRaw(request.Key(), func(b *base, c *client) error {
		decoded, err := c.decode()
		if decoded != nil {
			handle(b, c, decoded.(R))
		}
		return err
	}, r)
}

// registerRaw lists a request whose handler reads its body.
func registerRaw(key int16, answer func(*base, *client) error, r Request) {
	if served[key] != nil {
		panic(fmt.Sprintf("fanout: request %d is registered twice", key))
	}
	r.Key, r.AcceptMin, r.answer = key, max(r.AcceptMin, r.Min), answer
	served[key] = &r
}
