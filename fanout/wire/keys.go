package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// The request keys that are handled beyond kmsg.
const (
	KeyProduce     int16 = 0
	KeyFetch       int16 = 1
	KeyApiVersions int16 = 18
)

// Describe is the name of a request, for logs and metrics.
func Describe(key int16) string { return kmsg.Key(key).Name() }
