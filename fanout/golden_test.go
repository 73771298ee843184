package fanout

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

var rewrite = flag.Bool("rewrite", false, "write the golden frames again; review the difference")

// framesDir holds one file for each request that is served, with request and response of its lowest and highest
// version: a title line, then a line for each field with its bytes in hexadecimal and their meaning.
const framesDir = "../testdata/frames"

const correlationID = 0x01020304

// frame is one message as bytes.
type frame struct {
	title string
	bytes []byte
}

// goldenFrames are the frames of one key.
func goldenFrames(r *Request) (frames []frame, text string) {
	var b strings.Builder
	versions := slices.Compact([]int16{r.AcceptMin, r.Max})
	for _, version := range versions {
		req := kmsg.RequestForKey(r.Key)
		req.SetVersion(version)
		fillFields(req)
		resp := req.ResponseKind()
		resp.SetVersion(version)
		fillFields(resp, "SupportedFeatures", "FinalizedFeaturesEpoch", "FinalizedFeatures", "ZkMigrationReady") // tags, never sent
		for _, m := range []struct {
			kind    string
			message any
			head    []span
			encode  func() []byte
		}{
			{"request", req, requestHead(r.Key, version), func() []byte {
				return kmsg.NewRequestFormatter(kmsg.FormatterClientID("client")).AppendRequest(nil, req, correlationID)
			}},
			{"response", resp, []span{{0, 4, "size"}, {4, 8, "correlation id"}}, func() []byte {
				return wire.AppendResponse(nil, correlationID, resp)
			}},
		} {
			title := fmt.Sprintf("%s v%d %s", wire.Describe(r.Key), version, m.kind)
			encoded := m.encode()
			frames = append(frames, frame{title, encoded})
			writeFrame(&b, title, encoded, append(m.head, annotate(m.message, m.encode)...))
		}
	}
	return frames, b.String()
}

func requestHead(key, version int16) []span {
	return []span{{0, 4, "size"}, {4, 6, "key: " + wire.Describe(key)}, {6, 8, fmt.Sprintf("version %d", version)},
		{8, 12, "correlation id"}, {12, 14, "length of the client id"}, {14, 20, `client id = "client"`}}
}

func writeFrame(b *strings.Builder, title string, encoded []byte, spans []span) {
	fmt.Fprintf(b, "# %s\n", title)
	at := 0
	line := func(to int, comment string) {
		if to > at {
			fmt.Fprintf(b, "%-24s %s\n", hex.EncodeToString(encoded[at:to]), comment)
			at = to
		}
	}
	for _, s := range spans {
		name, _, _ := strings.Cut(s.comment, " = ")
		line(s.from, "length, count or tags before "+name)
		line(s.to, s.comment)
	}
	line(len(encoded), "tags, or an empty list")
	b.WriteString("\n")
}

// parseFrames reads what writeFrame wrote. Only titles and hexadecimal count.
func parseFrames(text string) (frames []frame, err error) {
	for i, line := range strings.Split(text, "\n") {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			frames = append(frames, frame{title: title})
			continue
		}
		digits, _, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) > 0 && len(frames) == 0 {
			return nil, fmt.Errorf("line %d: %q is not hexadecimal below a title", i+1, line)
		}
		if len(b) > 0 {
			frames[len(frames)-1].bytes = append(frames[len(frames)-1].bytes, b...)
		}
	}
	return frames, nil
}

func framesFile(key int16) string {
	return filepath.Join(framesDir, fmt.Sprintf("%02d_%s.txt", key, strings.ToLower(wire.Describe(key))))
}

// The bytes on the wire are recorded, so that no change of this program or of a library changes it
// unseen. Rewrite with: go test ./fanout -run Golden -rewrite
func TestGoldenFramesAreWhatIsSentAndRead(t *testing.T) {
	known := make(map[string]bool)
	for _, r := range Requests() {
		path := framesFile(r.Key)
		known[path] = true
		want, text := goldenFrames(r)
		if *rewrite {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := parseFrames(string(stored))
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %d frames, want %d: %v", path, len(got), len(want), err)
			continue
		}
		for i := range want {
			if got[i].title != want[i].title || !bytes.Equal(got[i].bytes, want[i].bytes) {
				t.Errorf("%s: %s is\n%x\nand %s was\n%x", path, want[i].title, want[i].bytes, got[i].title, got[i].bytes)
			}
			if strings.HasSuffix(got[i].title, "request") {
				checkRequestFrame(t, got[i])
			}
		}
		if string(stored) != text {
			t.Errorf("%s: the comments differ from those that -rewrite writes", path)
		}
	}
	files, err := filepath.Glob(filepath.Join(framesDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if !known[path] {
			t.Errorf("%s belongs to no request that is served", path)
		}
	}
}

// checkRequestFrame reads a request as the broker does, and writes it again.
func checkRequestFrame(t *testing.T, f frame) {
	t.Helper()
	size, ok, err := wire.FrameSize(f.bytes, 1<<20)
	if err != nil || !ok || size != len(f.bytes)-wire.FrameSizeBytes {
		t.Errorf("%s: size %d of %d bytes, %v", f.title, size, len(f.bytes), err)
		return
	}
	h, err := wire.ParseHeader(f.bytes[wire.FrameSizeBytes:], readVersions)
	if err != nil || h.CorrelationID != correlationID || string(h.ClientID) != "client" {
		t.Errorf("%s: header %+v, %v", f.title, h, err)
		return
	}
	req := kmsg.RequestForKey(h.Key)
	req.SetVersion(h.Version)
	if err := req.ReadFrom(h.Body); err != nil {
		t.Errorf("%s: %v", f.title, err)
		return
	}
	if again := req.AppendTo(nil); !bytes.Equal(again, h.Body) {
		t.Errorf("%s: written again it is\n%x\nnot\n%x", f.title, again, h.Body)
	}
}

func TestFrameReaderRefusesWhatIsNotHexadecimal(t *testing.T) {
	for _, text := range []string{"00 no title", "# title\n0g bad digit", "# title\n000 odd"} {
		if _, err := parseFrames(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
