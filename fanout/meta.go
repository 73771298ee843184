package fanout

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// meta is what a data directory says of itself: the cluster's and the node's identity, in the file that Apache Kafka
// keeps them in (meta.properties), and the next producer id.
type meta struct {
	clusterID string
	nodeID    int32

	producerFile string
	producerNext int64 // the next id to hand out
	producerEnd  int64 // ids from here on are not reserved on disk yet
}

const (
	metaFile       = "meta.properties"
	producerIDFile = "producer-id-checkpoint"
	// producerBlock ids are reserved at a time, so that the file is written rarely. After a crash the rest of a block
	// is never used: an id must not be given out twice.
	producerBlock = 1000
)

func (m *meta) open(dir string, nodeID int32) error {
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := m.create(path, nodeID); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("fanout: %w", err)
	default:
		if err := m.parse(path, text, nodeID); err != nil {
			return err
		}
	}
	m.producerFile = filepath.Join(dir, producerIDFile)
	return m.openProducerIDs()
}

func (m *meta) create(path string, nodeID int32) error {
	var id [16]byte
	_, _ = rand.Read(id[:])
	m.clusterID, m.nodeID = base64.RawURLEncoding.EncodeToString(id[:]), nodeID
	text := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\n", m.clusterID, m.nodeID)
	if err := replaceFile(path, []byte(text)); err != nil {
		return fmt.Errorf("fanout: cannot write to the data directory: %w: choose another with --data", err)
	}
	return nil
}

// parse reads the properties that Apache Kafka writes too: broker.id is what they were called before KRaft.
func (m *meta) parse(path string, text []byte, nodeID int32) error {
	m.nodeID = nodeID
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		switch key {
		case "cluster.id":
			m.clusterID = value
		case "node.id", "broker.id":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 0 {
				return fmt.Errorf("fanout: %s: %s is %q, it must be a number from 0 on", path, key, value)
			}
			m.nodeID = int32(n)
		}
	}
	if m.clusterID == "" {
		return fmt.Errorf("fanout: %s has no cluster.id: restore the file, or remove it to get a new identity", path)
	}
	return nil
}

func (m *meta) openProducerIDs() error {
	text, err := os.ReadFile(m.producerFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("fanout: %w", err)
	default:
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("fanout: %s holds %q, it must be a number from 0 on: write one larger than every producer id in use",
				m.producerFile, text)
		}
		m.producerNext = n
	}
	m.producerEnd = m.producerNext + producerBlock
	return writeProducerEnd(m.producerFile, m.producerEnd)
}

// writeProducerEnd writes down that ids below end may be in use. It blocks, so after the start it runs off the loop.
func writeProducerEnd(file string, end int64) error {
	if err := replaceFile(file, []byte(strconv.FormatInt(end, 10)+"\n")); err != nil {
		return fmt.Errorf("fanout: reserving producer ids: %w", err)
	}
	return nil
}

// replaceFile writes a file so that a crash leaves the old content or the new, never a mixture.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
