package wire

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// golden are the requests among the golden frames, by key: one of the lowest version that is served and one of the highest.
var golden = sync.OnceValue(func() map[int16][][]byte {
	paths, err := filepath.Glob("../../testdata/frames/*.txt")
	if err != nil || len(paths) == 0 {
		panic(fmt.Sprintf("wire: no golden frames: %v", err))
	}
	requests := make(map[int16][][]byte)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			panic(fmt.Sprintf("wire: %v", err))
		}
		for message := range strings.SplitSeq(string(text), "# ") {
			title, lines, _ := strings.Cut(message, "\n")
			if !strings.HasSuffix(title, "request") {
				continue
			}
			var frame []byte
			for line := range strings.SplitSeq(lines, "\n") {
				digits, _, _ := strings.Cut(line, " ")
				b, err := hex.DecodeString(digits)
				if err != nil {
					panic(fmt.Sprintf("wire: %s: %v", path, err))
				}
				frame = append(frame, b...)
			}
			key := int16(frame[5]) // of less than 256
			requests[key] = append(requests[key], frame)
		}
	}
	return requests
})

// goldenVersions are the versions that are served, as the golden frames have them.
func goldenVersions(key int16) (lowest, highest int16, ok bool) {
	frames := golden()[key]
	if len(frames) == 0 {
		return 0, 0, false
	}
	version := func(frame []byte) int16 { return int16(frame[7]) }
	return version(frames[0]), version(frames[len(frames)-1]), true
}

// goldenFrame is the request of the highest version, with its size, and its body.
func goldenFrame(key int16) (frame, body []byte) {
	frames := golden()[key]
	frame = frames[len(frames)-1]
	h, err := ParseHeader(frame[FrameSizeBytes:], goldenVersions)
	if err != nil {
		panic(fmt.Sprintf("wire: the golden request %d: %v", key, err))
	}
	return frame, h.Body
}
