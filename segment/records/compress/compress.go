// Package compress compresses records as producers do. The server only inflates them: this is for tests and the simulation.
package compress

import (
	"bytes"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// codecs are the codecs from number 1 on.
var codecs = []func() kgo.CompressionCodec{kgo.GzipCompression, kgo.SnappyCompression, kgo.Lz4Compression, kgo.ZstdCompression}

// Records compresses the records of a batch, which lie behind its header, with a codec by its number in the batch's attributes. Without
// compression, 0, it returns b itself.
func Records(codec int, b []byte) []byte {
	switch {
	case codec == 0:
		return b
	case codec < 0 || codec > len(codecs):
		panic(fmt.Sprintf("compress: there is no codec %d", codec))
	}
	c, err := kgo.DefaultCompressor(codecs[codec-1]())
	if err != nil {
		panic("compress: " + err.Error())
	}
	out, _ := c.Compress(new(bytes.Buffer), b)
	return out
}
