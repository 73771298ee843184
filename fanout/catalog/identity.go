package catalog

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"oneplusn/segment"
)

// identity is the cluster id and node id of a data directory, in the file that Apache Kafka uses for them.
type identity struct {
	clusterID string
	nodeID    int32
}

// IdentityFile is Apache Kafka's.
const IdentityFile = "meta.properties"

// open reads the identity, or makes one with that node id: then fresh is true.
func (id *identity) open(fsys segment.FS, random func([]byte), dir string, nodeID int32) (fresh bool, err error) {
	path := filepath.Join(dir, IdentityFile)
	id.nodeID = nodeID
	text, err := segment.ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, id.create(fsys, random, path)
	}
	if err != nil {
		return false, err
	}
	return false, id.parse(path, text)
}

func (id *identity) create(fsys segment.FS, random func([]byte), path string) error {
	var bytes [16]byte
	random(bytes[:])
	id.clusterID = base64.RawURLEncoding.EncodeToString(bytes[:])
	text := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\n", id.clusterID, id.nodeID)
	if err := segment.ReplaceFile(fsys, path, []byte(text)); err != nil {
		return fmt.Errorf("cannot write to the data directory: %w: choose another with --data", err)
	}
	return nil
}

// parse reads the properties that Apache Kafka writes too: before KRaft it called the node's id broker.id.
func (id *identity) parse(path string, text []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		switch key {
		case "cluster.id":
			id.clusterID = value
		case "node.id", "broker.id":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 0 {
				return fmt.Errorf("%s: %s is %q, it must be a number from 0 on", path, key, value)
			}
			id.nodeID = int32(n)
		}
	}
	if id.clusterID == "" {
		return fmt.Errorf("%s has no cluster.id: restore the file, or remove it to get a new identity", path)
	}
	return nil
}
