package fanout

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

const (
	// zstdFrom is the version of Fetch from which on clients know zstd (KIP-110).
	zstdFrom  = 10
	codecZstd = 4
	noCodec   = -1
)

// cutZstd ends a range before its first batch that is compressed by zstd, which an older client can't read: if that is
// the very first, the client is told so.
func (b *Broker) cutZstd(r *fetchResult) {
	before, found, err := r.partition.log.Before(codecZstd, r.rng, r.looked)
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
