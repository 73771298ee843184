package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"oneplusn/cmd/internal/asynclog"
	"oneplusn/fanout"
	"oneplusn/fanout/admin"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
)

const serveDescription = `Without flags it serves Kafka clients on 127.0.0.1:9092 from ./oneplusn-data.

What an acknowledgement promises is --fsync's to say. An acknowledged record always survives the end of this
process, by kill -9 too. The loss of power can take, with
  --fsync interval=D   the records of the last D (the default, D = 1s); acknowledgements do not wait
  --fsync never        what the kernel has not written yet, up to about 30 s
  --fsync always       nothing: one fdatasync covers all that waits, then it is acknowledged and can be read
acks=1 and acks=all promise the same, for there is one copy; acks=0 gets no answer and no promise.

SIGINT and SIGTERM stop it: no more connections, waiting fetches are answered, responses under way are
finished within --drain-timeout, the logs are closed, exit code 0. A second signal stops it at once.`

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:        "serve",
		Usage:       "run the server",
		Description: serveDescription,
		Flags:       serveFlags(),
		Action:      serve,
	}
}

// serveConfig reads the flags. What it refuses is the command line's fault.
func serveConfig(c *cli.Context, log *slog.Logger) (fanout.Config, error) {
	config := fanout.DefaultConfig()
	mode, err := transfer.ParseMode(c.String("transfer"))
	if err != nil {
		return config, err
	}
	entries, err := ring.RoundEntries(c.Int("ring-size"))
	if err != nil {
		return config, fmt.Errorf("--ring-size: %w", err)
	}
	if entries != c.Int("ring-size") {
		log.Info("ring size rounded up to a power of two", "asked", c.Int("ring-size"), "ring_size", entries)
	}
	config.Listen, config.Advertise, config.DataDir = c.String("listen"), c.String("advertise"), c.String("data")
	config.Partitions, config.AutoCreateTopics = c.Int("partitions"), c.Bool("auto-create-topics")
	config.AutoCreateTopicLimit, config.MaxPartitions = c.Int("auto-create-limit"), c.Int("max-partitions")
	config.InlineWrites = c.Bool("inline-writes")
	config.SegmentBytes, config.MaxMessageBytes = sizeOf(c, "segment-bytes"), int(sizeOf(c, "max-message-bytes"))
	config.MaxInflatedBytes = sizeOf(c, "max-inflated-bytes")
	if config.Fsync, err = fanout.ParseFsync(c.String("fsync")); err != nil {
		return config, err
	}
	config.SegmentAge, config.RetentionCheck = c.Duration("segment-age"), c.Duration("retention-check")
	config.RetentionBytes, config.RetentionAge = noLimit(sizeOf(c, "retention-bytes")), noLimit(c.Duration("retention-age"))
	config.Ring.Entries, config.Ring.CompletionEntries, config.Ring.Workers = entries, c.Int("cq-size"), c.Int("io-workers")
	config.Transfer = transfer.Config{
		Mode:            mode,
		PipeBytes:       int(sizeOf(c, "pipe-size")),
		MaxPipes:        c.Int("pipes"),
		ChunkBytes:      int(sizeOf(c, "chunk-size")),
		CopyBytes:       int(sizeOf(c, "copy-memory")),
		SpliceFromBytes: sizeOf(c, "splice-from"),
		ColdCacheBytes:  sizeOf(c, "cold-cache"),
		ReadaheadBytes:  sizeOf(c, "readahead"),
	}
	config.MaxConnections = c.Int("max-connections")
	config.MaxRequestBytes, config.FetchMaxBytes = int32(sizeOf(c, "max-request-bytes")), int32(sizeOf(c, "fetch-max-bytes"))
	config.RequestMemoryBytes, config.ResponseMemoryBytes = sizeOf(c, "request-memory"), sizeOf(c, "response-memory")
	config.SendBufferBytes = int(sizeOf(c, "send-buffer"))
	config.FetchSessionMemoryBytes = sizeOf(c, "fetch-session-memory")
	config.SlowTurnLog = c.Duration("slow-turn-log")
	config.FrameTimeout = c.Duration("frame-timeout")
	config.IdleTimeout, config.StallTimeout = c.Duration("idle-timeout"), c.Duration("stall-timeout")
	config.DrainTimeout = c.Duration("drain-timeout")
	config.GroupInitialRebalanceDelay, config.OffsetsRetention = c.Duration("group-initial-rebalance-delay"), c.Duration("offsets-retention")
	config.GroupLoneMemberDelay = c.Duration("group-lone-member-delay")
	config.GroupMinSessionTimeout, config.GroupMaxSessionTimeout = c.Duration("group-min-session-timeout"), c.Duration("group-max-session-timeout")
	config.MaxGroups, config.MaxGroupMembers, config.GroupMemoryBytes = c.Int("max-groups"), c.Int("max-group-members"), sizeOf(c, "group-memory")
	config.Logger = log
	if err := checkServeFlags(c, entries); err != nil {
		return config, err
	}
	return config, config.Validate()
}

// checkServeFlags refuses what only a command line can get wrong.
func checkServeFlags(c *cli.Context, ringEntries int) error {
	for _, flag := range []string{"listen", "admin"} {
		if err := checkAddress(flag, c.String(flag)); err != nil && (flag != "admin" || c.String(flag) != "") {
			return err
		}
	}
	if n := c.Int("cq-size"); n != 0 && (n < ringEntries || n > ring.MaxCompletionEntries) {
		return fmt.Errorf("--cq-size is %d, allowed are %d (--ring-size) to %d, or 0 for four times --ring-size", n, ringEntries, ring.MaxCompletionEntries)
	}
	if n := c.Int("io-workers"); n < 0 || n > maxWorkers {
		return fmt.Errorf("--io-workers is %d, allowed are 1 to %d, or 0 for one per CPU", n, maxWorkers)
	}
	if age := c.Duration("retention-age"); age < 0 {
		return fmt.Errorf("--retention-age is %v, allowed are 0 for no limit, and more", age)
	}
	return nil
}

// maxWorkers is the most that the ring accepts.
const maxWorkers = 1 << 16

// checkAddress refuses what is not HOST:PORT with a port that is a number; the host may be missing for all addresses.
func checkAddress(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("--%s %q: write HOST:PORT with a port from 0 to 65535, as in 127.0.0.1:9092", flag, address)
	}
	return nil
}

// noLimit turns a limit of 0, which stands for none on the command line, into a negative one.
func noLimit[T int64 | time.Duration](limit T) T {
	if limit == 0 {
		return -1
	}
	return limit
}

func serve(c *cli.Context) error {
	log, flush, err := newLogger(c)
	if err != nil {
		return &usageError{err}
	}
	defer flush()
	config, err := serveConfig(c, log)
	if err != nil {
		return &usageError{err}
	}
	// Taken before anything else is opened: later a number that nobody opened may be that of a segment.
	ready, err := readyFile(c.Int("ready-fd"))
	if err != nil {
		return &usageError{err}
	}
	// The loop makes no garbage; what there is comes from rare requests. A collection is then cheap but pointless.
	debug.SetGCPercent(400)
	raiseOpenFiles(log, config.MaxConnections)

	broker, err := fanout.Open(config)
	if err != nil {
		return err
	}
	adminAddress, stopAdmin, err := startAdmin(c.String("admin"), broker, log)
	if err != nil {
		return err
	}
	defer stopAdmin()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() {
		s := <-signals
		log.Info("stopping", "signal", s.String(), "drain_timeout", config.DrainTimeout)
		broker.Stop()
		s = <-signals
		log.Warn("stopping at once", "signal", s.String())
		flush()
		os.Exit(exitError)
	}()
	go func() {
		<-broker.Ready()
		log.Info("ready", "kafka", broker.Address(), "admin", adminAddress, "data", config.DataDir,
			"transfer", config.Transfer.Mode.String(), "fsync", config.Fsync.String(), "ring_size", config.Ring.Entries, "version", versionName())
		sayReady(ready, broker.Address(), adminAddress, log)
	}()
	if err := broker.Run(); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// newLogger logs to standard error without ever making the loop wait for it. flush writes what is left.
func newLogger(c *cli.Context) (log *slog.Logger, flush func(), err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return nil, nil, fmt.Errorf("--log-level %q: choose one of debug, info, warn, error", c.String("log-level"))
	}
	format, err := asynclog.ParseFormat(c.String("log-format"))
	if err != nil {
		return nil, nil, err
	}
	sink := asynclog.Start(c.App.ErrWriter, asynclog.Options{Format: format, Level: level})
	return sink.Logger(), func() { sink.Close(time.Second) }, nil
}

// startAdmin serves the admin pages. The address is empty if they are not wanted.
func startAdmin(address string, broker *fanout.Broker, log *slog.Logger) (bound string, stop func(), err error) {
	if address == "" {
		return "", func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return "", nil, fmt.Errorf("--admin %s: %w: choose another address, or none with --admin ''", address, err)
		}
		return "", nil, fmt.Errorf("--admin %s: %w", address, err)
	}
	server := &http.Server{Handler: admin.Handler(broker), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin pages have ended", "error", err)
		}
	}()
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}
	return listener.Addr().String(), stop, nil
}

// raiseOpenFiles takes what the hard limit allows: each connection is a file.
func raiseOpenFiles(log *slog.Logger, connections int) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if limit.Cur < uint64(connections) {
		log.Warn("the limit on open files is below --max-connections", "open_files", limit.Cur,
			"max_connections", connections, "remedy", "raise the hard limit (ulimit -Hn, LimitNOFILE=)")
	}
}

// readyFile is the open descriptor of --ready-fd, or nil if there is none. The runtime has descriptors of its own, which
// are no files to write to.
func readyFile(fd int) (*os.File, error) {
	if fd < 0 {
		return nil, nil
	}
	var st unix.Stat_t
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY || unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT == 0 {
		return nil, fmt.Errorf("--ready-fd %d is not open for writing: give a pipe or a file that the server inherits, as in --ready-fd 3 3>ready.json", fd)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "ready-fd"), nil
}

// sayReady writes the addresses to the descriptor that whoever started the server gave it.
func sayReady(ready *os.File, kafka, admin string, log *slog.Logger) {
	if ready == nil {
		return
	}
	line, _ := json.Marshal(map[string]any{"kafka": kafka, "admin": admin, "pid": os.Getpid()})
	_, err := ready.Write(append(line, '\n'))
	if err = errors.Join(err, ready.Close()); err != nil {
		log.Warn("--ready-fd could not be written to", "error", err)
	}
}
