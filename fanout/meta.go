package fanout

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"oneplusn/segment"
)

// meta is what a data directory says of itself: the cluster's and the node's identity, in the file that Apache Kafka
// keeps them in (meta.properties), and the next producer id.
type meta struct {
	clusterID string
	nodeID    int32

	fs           segment.FS
	producerFile string
	producerNext int64 // the next id to hand out
	producerEnd  int64 // ids from here on are not reserved on disk yet
	idsFile      sharedFile
	idsWanted    []func(id int64, err error) // who waits for a reservation, in order
	reserving    bool
}

const (
	metaFile       = "meta.properties"
	producerIDFile = "producer-id-checkpoint"
	// producerBlock ids are reserved at a time, so that the file is written rarely. After a crash the rest of a block
	// is never used: an id must not be given out twice.
	producerBlock = 1000
	// maxProducerID is far from where numbers end: nobody gets there in blocks.
	maxProducerID = 1 << 62
	// producerIDsUnknown is where ids begin, at least, that are to be none of those in use, whatever those are. Twice as
	// much is still a number to clients that count in floating point.
	producerIDsUnknown = 1 << 51
)

func (m *meta) open(fsys segment.FS, dir string, nodeID int32, log *slog.Logger) error {
	m.fs = fsys
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	switch {
	case fresh:
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
	m.openProducerIDs(fresh, log)
	return nil
}

func (m *meta) create(path string, nodeID int32) error {
	var id [16]byte
	_, _ = rand.Read(id[:])
	m.clusterID, m.nodeID = base64.RawURLEncoding.EncodeToString(id[:]), nodeID
	text := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\n", m.clusterID, m.nodeID)
	if err := segment.ReplaceFile(m.fs, path, []byte(text)); err != nil {
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

// openProducerIDs goes on behind the ids that may be in use. A file that is damaged or lost keeps nobody from starting.
func (m *meta) openProducerIDs(fresh bool, log *slog.Logger) {
	n, err := readProducerEnd(m.producerFile)
	if fresh && errors.Is(err, fs.ErrNotExist) {
		n, err = 0, nil
	}
	if err != nil {
		n = producerIDsUnknown + mrand.Int64N(producerIDsUnknown)
		aside := m.producerFile + ".unreadable" // which a directory in the file's place needs too
		log.Error("the producer ids in use are not known: new ones begin at a random number far above", "error", err, "from", n,
			"kept_as", aside, "not_kept", errorText(os.Rename(m.producerFile, aside)))
	}
	m.producerNext, m.producerEnd = n, n
	if err := writeProducerEnd(m.fs, m.producerFile, n+producerBlock); err != nil {
		log.Error("producer ids could not be reserved: the next producer that asks for one has it tried again", "error", err,
			"remedy", storageRemedy(err))
		return
	}
	m.producerEnd = n + producerBlock
}

// readProducerEnd reads from where on no producer id is in use.
func readProducerEnd(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("fanout: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n < 0 || n > maxProducerID {
		return 0, fmt.Errorf("fanout: %s holds %.40q, it must be a number from 0 to %d", path, text, int64(maxProducerID))
	}
	return n, nil
}

// writeProducerEnd writes down that ids below end may be in use. It blocks, so after the start it runs off the loop.
func writeProducerEnd(fs segment.FS, file string, end int64) error {
	if err := segment.ReplaceFile(fs, file, []byte(strconv.FormatInt(end, 10)+"\n")); err != nil {
		return fmt.Errorf("fanout: reserving producer ids: %w", err)
	}
	return nil
}

// reserve is a write of the file that reserves the next block.
func (m *meta) reserve() (work func() error, written func()) {
	end, fs, file := m.producerEnd+producerBlock, m.fs, m.producerFile
	return func() error { return writeProducerEnd(fs, file, end) }, func() { m.producerEnd = end }
}

// takeID is an id that nobody has had, if one is left of those that are reserved.
func (m *meta) takeID() (id int64, ok bool) {
	if m.producerNext >= m.producerEnd {
		return 0, false
	}
	m.producerNext++
	return m.producerNext - 1, true
}
