package segment

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// partitionFile holds the topic's id. It is written once, with the partition.
const partitionFile = "partition.metadata"

// TopicID is the id in partition.metadata, or zero.
func (l *Log) TopicID() [16]byte { return l.topicID }

// openMetadata reads partition.metadata, or writes it if there is an id to write.
func (l *Log) openMetadata() error {
	fsys, path := l.options.FS, filepath.Join(l.dir, partitionFile)
	lost, err := l.readAside(path, "the topic has no id from now on", func(text []byte) (err error) {
		l.topicID, err = parseMetadata(text)
		return err
	})
	switch {
	case err == nil && !lost:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case l.options.TopicID == [16]byte{}:
		return nil
	}
	l.topicID = l.options.TopicID
	text := fmt.Appendf(nil, "version: 0\ntopic_id: %s", base64.RawURLEncoding.EncodeToString(l.topicID[:]))
	if err := putFile(fsys, path, text); err != nil {
		return fmt.Errorf("segment: writing %s: %w", path, err)
	}
	l.dirUnsynced = true
	return nil
}

func parseMetadata(text []byte) (id [16]byte, err error) {
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "version":
			if value != "0" {
				return id, fmt.Errorf("its version is %.20q, 0 was expected", value)
			}
		case "topic_id":
			raw, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil || len(raw) != len(id) {
				return id, fmt.Errorf("its topic id is %.40q, 16 bytes in base64 were expected", value)
			}
			return [16]byte(raw), nil
		}
	}
	return id, errors.New("it has no topic id")
}
