package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// FrameSizeBytes is the size of the size in front of each frame.
const FrameSizeBytes = 4

// minFrameBytes is the smallest request: key, version and correlation id.
const minFrameBytes = 8

// MaxPartitions bounds the partitions of one Produce or Fetch request: one takes as little as 8 bytes of the frame, and
// more than a hundred of memory until it is answered.
const MaxPartitions = 1 << 16

// The errors of unreadable frames.
var (
	// ErrFrameTooLarge: the size is above the server's limit.
	ErrFrameTooLarge = errors.New("the request is larger than allowed")
	// ErrTooManyPartitions: the request names more than [MaxPartitions].
	ErrTooManyPartitions = errors.New("the request is about more partitions than allowed")
	// ErrNoRoom: the request names more partitions than its receiver has room for at present.
	ErrNoRoom = errors.New("the request is about more partitions than there is room for now")
	// ErrFrameMalformed: the bytes are not a Kafka request.
	ErrFrameMalformed = errors.New("not a Kafka request")
)

// FrameSize reads the size of the frame at the start of b, the bytes received so far. ok is false while b is too short for
// that. maxBytes bounds the size.
func FrameSize(b []byte, maxBytes int32) (size int, ok bool, err error) {
	if len(b) < FrameSizeBytes {
		return 0, false, nil
	}
	n := int32(binary.BigEndian.Uint32(b))
	if n >= minFrameBytes && n <= maxBytes {
		return int(n), true, nil
	}
	switch hint := foreign(b); {
	case hint != "":
		// As a string, a copy made here alone: b itself would escape, and cost every request an allocation.
		err = fmt.Errorf("%w: the first bytes are %q: %s", ErrFrameMalformed, string(b[:FrameSizeBytes]), hint)
	case n > maxBytes:
		err = fmt.Errorf("%w: %d bytes, the limit is %d (--max-request-bytes)", ErrFrameTooLarge, n, maxBytes)
	default:
		err = fmt.Errorf("%w: its size is %d, the least is %d", ErrFrameMalformed, n, minFrameBytes)
	}
	return 0, true, err
}

// foreign recognizes the first bytes of protocols that are often sent to the wrong port.
func foreign(b []byte) string {
	switch string(b[:FrameSizeBytes]) {
	case "GET ", "POST", "HEAD", "PUT ", "OPTI", "DELE", "PRI ":
		return "this looks like HTTP; the admin pages are on the address of --admin"
	}
	if b[0] == 0x16 && b[1] == 0x03 {
		return "this looks like TLS, which is not served here: set security.protocol to PLAINTEXT"
	}
	return ""
}

// PatchFrameSize writes the size of a response into the first bytes of head, once all of it is known. totalBytes counts
// head and everything that follows it, the size itself included.
func PatchFrameSize(head []byte, totalBytes int64) error {
	size := totalBytes - FrameSizeBytes
	if size < 0 || size > 1<<31-1 {
		return fmt.Errorf("a response of %d bytes does not fit a frame of at most %d", totalBytes, 1<<31-1)
	}
	binary.BigEndian.PutUint32(head, uint32(size))
	return nil
}
