package scenario

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"oneplusn/fanout"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/transfer"
	"oneplusn/ring/sim"
)

// shape is what stays the same for a whole run: the machine, the server's flags, how many clients of each kind there are.
type shape struct {
	machine                        sim.Options
	inlineWrites                   bool
	fsync                          string
	mode                           transfer.Mode
	recvBuffers, recvBufferBytes   int
	connections                    int
	segmentBytes                   int64
	topics, producers, subscribers int
	partitions                     []int32
}

func drawShape(r *rand.Rand) shape {
	s := shape{
		machine: sim.Options{
			SendBufferBytes: 1 << (11 + r.IntN(7)), ReceiveBufferBytes: 1 << (11 + r.IntN(7)),
			ShortOneIn: r.IntN(6), RetryOneIn: 40 * r.IntN(3), EndOneIn: 20 * r.IntN(2), AcceptOneIn: 5 * r.IntN(2),
			PipesMax: 4 + r.IntN(20),
			Disk:     sim.DiskOptions{FileBytes: 256 << 10, EvictOneIn: 20 * r.IntN(3)},
		},
		inlineWrites: r.IntN(2) == 0,
		fsync:        []string{"always", "interval=100ms", "never"}[r.IntN(3)],
		mode:         []transfer.Mode{transfer.Auto, transfer.Splice, transfer.Send, transfer.Sendfile, transfer.Copy}[r.IntN(5)],
		recvBuffers:  1 << r.IntN(5), recvBufferBytes: 512 << r.IntN(4),
		connections:  24 + r.IntN(60),
		segmentBytes: 16 << 10 << r.IntN(4),
		topics:       1 + r.IntN(3), producers: 1 + r.IntN(5), subscribers: 1 + r.IntN(8),
	}
	for range s.topics {
		s.partitions = append(s.partitions, 1+r.Int32N(3))
	}
	return s
}

// config is the configuration of the next life.
func (w *World) config() (fanout.Config, error) {
	s := &w.shape
	c := fanout.DefaultConfig()
	c.Listen, c.DataDir = "127.0.0.1:0", "/data"
	c.Ring.Entries, c.Ring.RecvBuffers, c.Ring.RecvBufferBytes = 64, s.recvBuffers, s.recvBufferBytes
	c.Limits.MaxConnections = s.connections
	c.Log.SegmentBytes = s.segmentBytes
	c.Log.MaxBatchBytes = maxBatchBytes
	c.DrainTimeout = time.Second
	c.AutoCreateTopics = false
	c.Transfer.Mode = s.mode
	c.Group.InitialRebalanceDelay, c.Group.LoneMemberDelay = 20*time.Millisecond, 5*time.Millisecond
	w.kernel.InlineWrites = s.inlineWrites
	c.InlineWrites = s.inlineWrites
	c.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	var err error
	if c.Fsync, err = commit.ParseFsync(s.fsync); err != nil {
		return c, err
	}
	c.Machine, c.Log.FS = w.fanoutMachine(), w.kernel.FileSystem()
	return c, nil
}

// maxBatchBytes is the largest batch that the server takes.
const maxBatchBytes = 32 << 10
