package fanout

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Request is one kind of request that is served. Its file registers it, and nothing else lists requests: what is said of it is
// told to clients by ApiVersions and to people by docs/protocol.md. A request that is not served is unknown to clients too, so they
// do without it. Nothing is flexible (KIP-482) but ApiVersions 3; every client in use negotiates down to these.
type Request struct {
	// Min and Max are the versions that clients are told of. AcceptMin is the lowest that is read, Min if not given.
	Key, Min, Max, AcceptMin int16
	// Does ends the sentence that the name begins. Versions says what differs between them, and why no others are served.
	Does, Versions string
	// Errors are the codes of the protocol that an answer may have, besides 0.
	Errors []int16

	// onlyAsks says that a request changes nothing, so that it can be answered twice.
	onlyAsks bool
	answer   func(*base, *client) error
}

// maxKey bounds the keys of requests.
const maxKey = 96

var served [maxKey]*Request

// Requests lists all that is served, in the order of the keys.
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
