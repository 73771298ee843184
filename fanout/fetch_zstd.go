package fanout

import (
	"golang.org/x/sys/unix"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

const (
	// zstdFrom is the version of Fetch from which on clients know zstd (KIP-110).
	zstdFrom  = 10
	codecZstd = 4
	// zstdLookedAt bounds the batches that one fetch of an older client looks at.
	zstdLookedAt = 256
)

// cutZstd ends a range before its first batch that is compressed by zstd, which an older client can't read: if that is
// the very first, the client is told so. Only headers are read, and only from pages in memory, so a cold batch goes out
// unseen; the client then reports a codec that it does not know by itself.
func cutZstd(r *fetchResult) {
	var header [segment.BatchHeaderSize]byte
	vector := [][]byte{header[:]}
	end := r.rng.Pos + r.rng.Len
	at := r.rng.Pos
	for n := 0; at < end && n < zstdLookedAt; n++ {
		got, err := unix.Preadv2(r.rng.Segment.Fd(), vector, at, unix.RWF_NOWAIT)
		if err != nil || got < len(header) {
			return
		}
		h, err := segment.ParseBatch(header[:])
		if err != nil {
			return
		}
		if h.Attributes&codecBits == codecZstd {
			break
		}
		at += int64(h.Size())
	}
	switch {
	case at >= end:
	case at == r.rng.Pos:
		r.ErrorCode = wire.CodeUnsupportedCompressionType
		r.rng = segment.Range{}
	default:
		r.rng.Len = at - r.rng.Pos
	}
	r.RecordsBytes = int32(r.rng.Len)
}
