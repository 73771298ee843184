package fanout

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// zstdFrom is the version of Fetch from which on clients know zstd (KIP-110).
const zstdFrom = 10

// cutZstd ends a range before its first batch that is compressed by zstd, which an older client can't read: if that is
// the very first, the client is told so.
func (b *Broker) cutZstd(r *fetchResult) {
	before, found, err := r.partition.log.Before(records.Zstd, r.rng, r.looked)
	switch {
	case err != nil:
		b.unread(r, err)
	case before.Len == 0 && found:
		r.ErrorCode = wire.CodeUnsupportedCompressionType
		r.rng = segment.Range{}
	default:
		r.rng = before
	}
}
