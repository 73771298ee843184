package catalog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"oneplusn/segment"
)

// TopicConfigFile holds a topic's own settings. It is in the directory of partition 0, so a deletion renames it with the topic,
// and a copy of the topic's directories has it. Apache Kafka ignores it there.
const TopicConfigFile = "topic.properties"

func topicConfigPath(dataDir, topic string) string {
	return filepath.Join(dataDir, topic+"-0", TopicConfigFile)
}

// writeTopicConfig replaces the file of a topic. It blocks, so it runs off the loop.
func writeTopicConfig(fs segment.FS, path string, set map[string]string) error {
	var b bytes.Buffer
	b.WriteString("# What was set for this topic when it was created and since. Everything else follows the server's flags.\n")
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&b, "%s=%s\n", name, set[name])
	}
	if err := segment.ReplaceFile(fs, path, b.Bytes()); err != nil {
		return fmt.Errorf("writing a topic's configuration: %w", err)
	}
	return nil
}

// readTopicConfig reads a topic's own settings. A topic without the file is foreign: its directories were copied from another
// broker, whose configuration is unknown, so nothing of it is deleted until somebody configures it.
func readTopicConfig(fsys segment.FS, path string) (set map[string]string, foreign bool, err error) {
	text, err := segment.ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{"retention.ms": "-1", "retention.bytes": "-1"}, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	set = make(map[string]string)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, false, fmt.Errorf("%s: line %d is %q, it must be name=value", path, n, line)
		}
		set[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return set, false, nil
}
