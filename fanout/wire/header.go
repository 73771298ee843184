package wire

import (
	"errors"
	"fmt"
)

// The errors of requests that can be parsed and are not served.
var (
	// ErrUnknownKey: no version of this request is served.
	ErrUnknownKey = errors.New("this request is not served")
	// ErrUnsupportedVersion: other versions of this request are served.
	ErrUnsupportedVersion = errors.New("this version of the request is not served")
)

// Header is the start of every request. Its slices alias the frame.
type Header struct {
	Key, Version  int16
	CorrelationID int32
	// ClientID is nil if the client sent none.
	ClientID []byte
	// Body follows the header.
	Body []byte
}

// apiVersionsFlexibleFrom is the first version of ApiVersions whose request header ends with tags.
const apiVersionsFlexibleFrom = 3

// ParseHeader reads the header of a frame, without its size. read says which versions of a request are. With ErrUnknownKey and
// ErrUnsupportedVersion the key, the version and the correlation id are filled in, so that the request can still be answered.
func ParseHeader(frame []byte, read func(key int16) (lowest, highest int16, ok bool)) (Header, error) {
	c := cursor{left: frame}
	h := Header{Key: c.int16(), Version: c.int16(), CorrelationID: c.int32()}
	if c.failed {
		return h, c.err("header")
	}
	lowest, highest, ok := read(h.Key)
	if !ok {
		return h, fmt.Errorf("%w: key %d (%s)", ErrUnknownKey, h.Key, Describe(h.Key))
	}
	if h.Version < lowest || h.Version > highest {
		return h, fmt.Errorf("%w: %s version %d, served are %d to %d", ErrUnsupportedVersion,
			Describe(h.Key), h.Version, lowest, highest)
	}
	h.ClientID = c.nullableString()
	if h.Key == KeyApiVersions && h.Version >= apiVersionsFlexibleFrom {
		c.tags()
	}
	h.Body = c.left
	if c.failed {
		return h, c.err("header of " + Describe(h.Key))
	}
	return h, nil
}
