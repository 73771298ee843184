package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxControlBytes bounds the requests that kmsg decodes. kmsg accepts a count if at least as many bytes are left, but an
// element may take a hundred times its encoded size in memory. A metadata request of a mebibyte names some twenty thousand
// topics.
const maxControlBytes = 1 << 20

// DecodeRequest decodes the body of any request but Produce and Fetch by kmsg, and drops repeated names. The caller may keep
// the request: kmsg's byte slices alias its input, so it gets a copy of the body.
func DecodeRequest(h Header) (kmsg.Request, error) {
	if len(h.Body) > maxControlBytes {
		return nil, fmt.Errorf("%w: %s of %d bytes, the limit for it is %d", ErrFrameTooLarge, Describe(h.Key), len(h.Body), maxControlBytes)
	}
	req := kmsg.RequestForKey(h.Key)
	if req == nil {
		return nil, fmt.Errorf("%w: key %d", ErrUnknownKey, h.Key)
	}
	req.SetVersion(h.Version)
	if err := req.ReadFrom(bytes.Clone(h.Body)); err != nil {
		return nil, fmt.Errorf("%w: %s version %d: %w", ErrFrameMalformed, Describe(h.Key), h.Version, err)
	}
	dropRepeats(req)
	return req, nil
}

// AppendResponse appends a whole response: size, header and body. Its version must have been set.
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if resp.IsFlexible() && resp.Key() != KeyApiVersions {
		dst = append(dst, 0) // no tags
	}
	dst = resp.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-FrameSizeBytes))
	return dst
}

// maxTopicNameBytes leaves room for "-<partition>" in a file name of 255 bytes (org.apache.kafka.common.internals.Topic).
const maxTopicNameBytes = 249

// TopicNameError returns the error of an invalid topic name, or nil. The rules are Kafka's; every valid name is a valid
// name of a directory.
func TopicNameError(name []byte) error {
	switch s := string(name); {
	case s == "":
		return errors.New("a topic's name cannot be empty")
	case s == "." || s == "..":
		return fmt.Errorf("a topic's name cannot be %q", s)
	case len(s) > maxTopicNameBytes:
		return fmt.Errorf("a topic's name of %d bytes is longer than %d", len(s), maxTopicNameBytes)
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if bad := strings.IndexFunc(string(name), func(r rune) bool { return !strings.ContainsRune(allowed, r) }); bad >= 0 {
		return fmt.Errorf("a topic's name has letters, digits, '.', '_' and '-'; byte %d of %q is another", bad, name)
	}
	return nil
}
