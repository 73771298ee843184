package fanout

import (
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
	found := int64(-1)
	looked := 0
	r.partition.log.Walk(r.rng, func(h segment.Batch, at int64) bool {
		if h.Attributes&codecBits == codecZstd {
			found = at
		}
		looked++
		return found >= 0 || looked == zstdLookedAt
	})
	switch {
	case found < 0:
	case found == r.rng.Pos:
		r.ErrorCode = wire.CodeUnsupportedCompressionType
		r.rng = segment.Range{}
	default:
		r.rng.Len = found - r.rng.Pos
	}
	r.RecordsBytes = int32(r.rng.Len)
}
