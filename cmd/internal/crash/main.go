// Command crash kills the server again and again and looks for anything acknowledged that is missing.
//
// A round: the server is started on the data directory of the round before, all that is new in its logs is read and
// checked, producers write with acks=all, and after a random time the server is killed with SIGKILL. Between kill and
// start the end of one log is damaged in places that were never acknowledged, as the loss of power in the middle of a
// write would. After the last round of a directory everything in it is read once more from the beginning.
//
// # What is checked
//
//   - Every acknowledged record is there, at the offset of its acknowledgement, once, with its content and its batch's
//     CRC32C; records of one producer are in its order.
//   - What idempotent producers sent is there without a gap and without a duplicate, across all kills.
//   - A record that was not acknowledged is there once or not at all.
//
// The random choices follow from the seed, which is printed; the moment of a kill relative to the server's work does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"oneplusn/cmd/internal/peer"
)

func main() {
	kills := flag.Int("kills", 300, "`N` kills")
	perDirectory := flag.Int("per-directory", 50, "`N` kills after which a directory is checked as a whole and a new one begun")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random choices")
	binary := flag.String("binary", "bin/oneplusn", "the server's `FILE`")
	flag.Parse()
	fmt.Printf("crash: %d kills, seed %d\n", *kills, *seed)
	_ = os.Setenv("ONEPLUSN_SERVER_BINARY", *binary)
	h := &harness{random: rand.New(rand.NewPCG(*seed, 0)), start: time.Now()}
	err := h.run(*kills, *perDirectory)
	h.report()
	if err != nil {
		fmt.Fprintf(os.Stderr, "crash: FAILED: %v\n  again with: make crash N=%d SEED=%d\n", err, *kills, *seed)
		os.Exit(1)
	}
	fmt.Println("crash: nothing acknowledged was lost")
}

// harness is one run.
type harness struct {
	random *rand.Rand
	start  time.Time
	counts counts
}

// counts is what a run did, for its report.
type counts struct {
	kills    int
	records  int64 // checked against their acknowledgement or content
	acked    int64
	natural  int // torn tails that a kill left by itself
	injected map[damage]int
	rereads  int64 // records read once more by the check of a whole directory
}

func (h *harness) report() {
	c := &h.counts
	fmt.Printf("crash: %d kills in %.0f s; %d records checked, %d of them acknowledged; all read again at the end of their directory: %d\n",
		c.kills, time.Since(h.start).Seconds(), c.records, c.acked, c.rereads)
	total := 0
	for _, n := range c.injected {
		total += n
	}
	fmt.Printf("crash: torn tails: %d left by a kill itself, %d made between kill and start", c.natural, total)
	for d := range damages {
		fmt.Printf(" (%s %d)", d, c.injected[d])
	}
	fmt.Println()
}

func (h *harness) run(kills, perDirectory int) error {
	h.counts.injected = make(map[damage]int)
	for h.counts.kills < kills {
		if err := h.directory(min(perDirectory, kills-h.counts.kills)); err != nil {
			return err
		}
	}
	return nil
}

// directory makes a data directory, kills servers on it, and checks it as a whole.
func (h *harness) directory(kills int) (err error) {
	dir, err := os.MkdirTemp("", "oneplusn-crash-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w (the data directory is kept: %s)", err, dir)
			return
		}
		_ = os.RemoveAll(dir)
	}()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	streams := newStreams(h.random)
	idempotent, err := startIdempotent(address, streams)
	if err != nil {
		return err
	}
	defer idempotent.stop()
	server, err := h.serve(dir, address)
	if err != nil {
		return err
	}
	if err := errors.Join(h.check(address, streams), idempotent.begin(), server.Stop()); err != nil {
		return err
	}
	for range kills {
		if err := h.round(dir, address, streams, idempotent); err != nil {
			return err
		}
		if h.counts.kills%10 == 0 {
			fmt.Printf("crash: %d kills, %d records checked, %.0f s\n", h.counts.kills, h.counts.records, time.Since(h.start).Seconds())
		}
	}
	return h.whole(dir, address, streams, idempotent)
}

// freeAddress is an address that was free a moment ago: all servers of a directory have to be found at the same one.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// policies are tried by turns: a kill takes nothing under any of them.
var policies = []string{"never", "interval=10ms", "always"}

func (h *harness) serve(dir, address string) (*peer.Server, error) {
	policy := policies[h.random.IntN(len(policies))]
	return peer.StartServer(context.Background(), dir, "--listen", address, "--fsync", policy,
		"--segment-bytes", "16MiB", "--max-message-bytes", "8MiB")
}

// round is one life of the server.
func (h *harness) round(dir, address string, streams []*stream, idempotent *idempotent) error {
	server, err := h.serve(dir, address)
	if err != nil {
		return fmt.Errorf("start after kill %d: %w", h.counts.kills, err)
	}
	if err := h.check(address, streams); err != nil {
		server.Kill()
		return fmt.Errorf("after kill %d: %w", h.counts.kills, err)
	}
	raw, err := startRaw(address, streams, h.random.Uint64())
	if err != nil {
		server.Kill()
		return err
	}
	idempotent.write(true)
	time.Sleep(time.Duration(5+h.random.IntN(150)) * time.Millisecond)
	server.Kill()
	idempotent.write(false)
	h.counts.kills++
	if err := raw.wait(); err != nil { // all acknowledgements that were on the way have been read
		return err
	}
	if err := idempotent.failed(); err != nil {
		return err
	}
	return h.tear(dir, streams)
}

// check reads what is new in every log.
func (h *harness) check(address string, streams []*stream) error {
	return h.read(address, streams, func(s *stream) *progress { return &s.progress }, &h.counts.records)
}

// whole stops everything cleanly and reads every log from its beginning.
func (h *harness) whole(dir, address string, streams []*stream, idempotent *idempotent) error {
	server, err := h.serve(dir, address)
	if err != nil {
		return fmt.Errorf("start after kill %d: %w", h.counts.kills, err)
	}
	if err := errors.Join(idempotent.drain(), idempotent.failed()); err != nil {
		server.Kill()
		return err
	}
	err = h.check(address, streams)
	if err == nil {
		err = h.read(address, streams, func(*stream) *progress { return newProgress() }, &h.counts.rereads)
	}
	for _, s := range streams {
		h.counts.acked += s.ackedRecords()
	}
	return errors.Join(err, server.Stop())
}
