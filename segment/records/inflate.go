package records

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// inflater decompresses one payload. release returns it to its pool, without references to the payload.
type inflater interface {
	io.Reader
	release()
}

func open(codec Codec, payload []byte, limit int64, large bool) (inflater, error) {
	var in inflater
	var err error
	switch codec {
	case Gzip:
		in, err = openGzip(payload)
	case Snappy:
		in, err = openSnappy(payload, limit)
	case LZ4:
		in, err = openLZ4(payload)
	case Zstd:
		in, err = openZstd(payload, large)
	default:
		return nil, fmt.Errorf("%w: %d", ErrCodec, codec)
	}
	if err != nil {
		return nil, inflateError(codec, err)
	}
	return in, nil
}

var (
	gzips = sync.Pool{New: func() any { return new(gzipReader) }}
	lz4s  = sync.Pool{New: func() any { return &lz4Reader{Reader: lz4.NewReader(nil)} }}
	zstds sync.Pool
)

type gzipReader struct {
	gzip.Reader
	source bytes.Reader
}

func openGzip(payload []byte) (inflater, error) {
	g := gzips.Get().(*gzipReader)
	g.source.Reset(payload)
	if err := g.Reset(&g.source); err != nil {
		g.release()
		return nil, err
	}
	return g, nil
}

func (g *gzipReader) release() {
	g.source.Reset(nil)
	gzips.Put(g)
}

type lz4Reader struct {
	*lz4.Reader
	source bytes.Reader
}

func openLZ4(payload []byte) (inflater, error) {
	if err := checkLZ4Frame(payload); err != nil {
		return nil, err
	}
	z := lz4s.Get().(*lz4Reader)
	z.source.Reset(payload)
	z.Reset(&z.source)
	return z, nil
}

func (z *lz4Reader) release() {
	z.source.Reset(nil)
	z.Reset(&z.source)
	lz4s.Put(z)
}

const (
	// pooledWindow is the largest zstd window of a pooled decoder: that of level 19.
	pooledWindow = 8 << 20
	// largestWindow is that of level 22, the highest that Kafka has.
	largestWindow = 128 << 20
)

type zstdReader struct {
	*zstd.Decoder
	source bytes.Reader
	large  bool
}

// openZstd uses a decoder that does all its work in Read: one with goroutines would run ahead of its reader.
func openZstd(payload []byte, large bool) (inflater, error) {
	var first zstd.Header
	// The decoder returns the error of an unreadable header.
	large = large && first.Decode(payload) == nil && first.WindowSize > pooledWindow
	var z *zstdReader
	if !large {
		z, _ = zstds.Get().(*zstdReader)
	}
	if z == nil {
		window := uint64(pooledWindow)
		if large {
			window = largestWindow
		}
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(window), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			return nil, err
		}
		z = &zstdReader{Decoder: d, large: large}
	}
	z.source.Reset(payload)
	if err := z.Reset(&z.source); err != nil {
		z.release()
		return nil, err
	}
	return z, nil
}

func (z *zstdReader) Read(b []byte) (int, error) {
	n, err := z.Decoder.Read(b)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("%w: %w", ErrWindow, err)
	}
	return n, err
}

func (z *zstdReader) release() {
	z.source.Reset(nil)
	if z.large || z.Reset(nil) != nil {
		z.Close()
		return
	}
	zstds.Put(z)
}
