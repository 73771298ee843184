package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"oneplusn/cmd/internal/asynclog"
	"oneplusn/cmd/internal/host"
	"oneplusn/fanout"
	"oneplusn/fanout/admin"
	"oneplusn/fanout/flags"
	"oneplusn/ring"
)

const serveDescription = `Without flags it serves Kafka clients on 127.0.0.1:9092 and keeps the logs in ./oneplusn-data.

An acknowledged record always survives the end of this process, kill -9 included. --fsync decides how much
a power failure can lose:
  --fsync interval=D   the records of the last D (default: D = 1s); acknowledgements do not wait for the disk
  --fsync never        records that the kernel has not written back yet, up to about 30 s of them
  --fsync always       nothing: a record is acknowledged and readable after an fdatasync, which covers all
                       records that wait
acks=1 and acks=all promise the same, since there is one replica; acks=0 gets no answer and no promise.

SIGINT or SIGTERM stops it: it accepts no more connections, answers waiting fetches, finishes responses under
way within --drain-timeout, closes the logs and exits with 0. A second signal stops it at once.`

// server holds the values of the flags of serve.
type server struct {
	config   fanout.Config
	admin    string
	logLevel slog.Level
	format   asynclog.Format
	readyFD  int
}

func serveCommand() *cli.Command {
	s := &server{config: fanout.DefaultConfig()}
	return &cli.Command{
		Name:        "serve",
		Usage:       "run the server",
		Description: serveDescription,
		Flags:       named("", cliFlags(s.flags())...),
		Action:      s.run,
	}
}

// flags are the broker's and the command's own. The latter join the first heading of the former.
func (s *server) flags() []flags.Flag {
	own := []flags.Flag{
		flags.String("admin", &s.admin, "127.0.0.1:9644", "serve /metrics, /stats, /healthz, /debug/events and /debug/pprof on `HOST:PORT`; empty for none").
			With("", s.checkAdmin),
		flags.Choice("log-level", &s.logLevel, "info", parseLevel, "lowest `LEVEL` logged: debug, info, warn, error"),
		flags.Choice("log-format", &s.format, "text", asynclog.ParseFormat, "`FORMAT` of log lines: text or json"),
		flags.Count("ready-fd", &s.readyFD, -1, math.MinInt, math.MaxInt, "when the server is ready, write one JSON line with its addresses to open file descriptor `N`").
			With("open for writing", nil).ByDefault("none"),
	}
	flags.Reset(own)
	all := s.config.Flags()
	end := slices.IndexFunc(all, func(f flags.Flag) bool { return f.Heading != all[0].Heading })
	return slices.Insert(all, end, flags.Under(all[0].Heading, own...)...)
}

func (s *server) checkAdmin() error {
	if s.admin == "" {
		return nil
	}
	return fanout.CheckAddress("admin", s.admin)
}

func parseLevel(text string) (level slog.Level, err error) {
	if level.UnmarshalText([]byte(text)) != nil {
		err = fmt.Errorf("--log-level %q: choose one of debug, info, warn, error", text)
	}
	return level, err
}

// validate checks the settings, and rounds the ring size.
func (s *server) validate(log *slog.Logger) error {
	if err := s.checkAdmin(); err != nil {
		return err
	}
	if err := s.config.Validate(); err != nil {
		return err
	}
	asked := s.config.Ring.Entries
	s.config.Ring.Entries, _ = ring.RoundEntries(asked)
	if s.config.Ring.Entries != asked {
		log.Info("ring size rounded up to a power of two", "asked", asked, "ring_size", s.config.Ring.Entries)
	}
	s.config.Logger = log
	return nil
}

func (s *server) run(c *cli.Context) error {
	sink := asynclog.Start(c.App.ErrWriter, asynclog.Options{Format: s.format, Level: s.logLevel})
	log, flush := sink.Logger(), func() { sink.Close(time.Second) }
	defer flush()
	if err := s.validate(log); err != nil {
		return &usageError{err}
	}
	config := &s.config
	// Before any other file is opened: later the number may belong to a segment.
	ready, err := readyFile(s.readyFD)
	if err != nil {
		return &usageError{err}
	}
	// The loop makes no garbage, only rare requests do. Collecting often is cheap and pointless.
	debug.SetGCPercent(400)
	if files := host.RaiseOpenFiles(); files < uint64(config.MaxConnections) {
		log.Warn("the limit on open files is below --max-connections", "open_files", files,
			"max_connections", config.MaxConnections, "remedy", "raise the hard limit (ulimit -Hn, LimitNOFILE=)")
	}

	broker, err := fanout.Open(*config)
	if err != nil {
		return err
	}
	adminAddress, stopAdmin, err := startAdmin(s.admin, broker, log)
	if err != nil {
		return err
	}
	defer stopAdmin()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() {
		sent := <-signals
		log.Info("stopping", "signal", sent.String(), "drain_timeout", config.DrainTimeout)
		broker.Stop()
		sent = <-signals
		log.Warn("stopping at once", "signal", sent.String())
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

// startAdmin serves the admin pages. An empty address means none.
func startAdmin(address string, broker *fanout.Broker, log *slog.Logger) (bound string, stop func(), err error) {
	if address == "" {
		return "", func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return "", nil, fmt.Errorf("--admin %s: %w: choose another address, or turn the admin pages off with --admin ''", address, err)
		}
		return "", nil, fmt.Errorf("--admin %s: %w", address, err)
	}
	server := &http.Server{Handler: admin.Handler(broker), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin pages stopped", "error", err)
		}
	}()
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}
	return listener.Addr().String(), stop, nil
}

// readyFile is the open descriptor of --ready-fd, or nil without the flag. It refuses the Go runtime's own descriptors, such
// as its epoll instance.
func readyFile(fd int) (*os.File, error) {
	if fd < 0 {
		return nil, nil
	}
	var st unix.Stat_t
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY || unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT == 0 {
		return nil, fmt.Errorf("--ready-fd %d is not open for writing: give an inherited pipe or file, as in --ready-fd 3 3>ready.json", fd)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "ready-fd"), nil
}

// sayReady writes the addresses to the descriptor of --ready-fd.
func sayReady(ready *os.File, kafka, admin string, log *slog.Logger) {
	if ready == nil {
		return
	}
	line, _ := json.Marshal(map[string]any{"kafka": kafka, "admin": admin, "pid": os.Getpid()})
	_, err := ready.Write(append(line, '\n'))
	if err = errors.Join(err, ready.Close()); err != nil {
		log.Warn("writing to --ready-fd failed", "error", err)
	}
}
