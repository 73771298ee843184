// Command crash kills the server again and again and looks for acknowledged records that are missing.
//
// A round starts the server on the data directory of the last round, reads and checks everything new in its logs, lets
// producers write with acks=all, and kills the server with SIGKILL at a random time. Between kill and start it damages the
// end of one log where nothing was acknowledged, as a power failure in the middle of a write would. After the last round
// on a directory it reads everything there once more from the beginning.
//
// # What is checked
//
//   - Every acknowledged record is there once, at the offset of its acknowledgement, with its content and its batch's
//     CRC32C. The records of one producer are in order.
//   - The records of idempotent producers have no gap and no duplicate, across all kills.
//   - A record that was not acknowledged is there once or not at all.
//
// The random choices follow from the seed, which is printed. The moment of a kill relative to the server's work does not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"oneplusn/cmd/internal/peer"
)

func main() {
	kills := flag.Int("kills", 300, "`N` kills")
	perDirectory := flag.Int("per-directory", 50, "`N` kills on one directory before it is checked as a whole and a new one begins")
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

// harness is one run and its counts.
type harness struct {
	random *rand.Rand
	start  time.Time

	kills    int
	checked  int64 // records compared with their acknowledgement or content
	acked    int64
	natural  int // torn tails that a kill left
	injected [damages]int
	rereads  int64 // records that the check of a whole directory read once more
}

func (h *harness) report() {
	fmt.Printf("crash: %d kills in %.0f s; %d records checked, %d of them acknowledged; all read again at the end of their directory: %d\n",
		h.kills, time.Since(h.start).Seconds(), h.checked, h.acked, h.rereads)
	total := 0
	for _, n := range h.injected {
		total += n
	}
	fmt.Printf("crash: torn tails: %d left by a kill, %d made between kill and start", h.natural, total)
	for d, n := range h.injected {
		fmt.Printf(" (%s %d)", damage(d), n)
	}
	fmt.Println()
}

func (h *harness) run(kills, perDirectory int) error {
	for h.kills < kills {
		if err := h.directory(min(perDirectory, kills-h.kills)); err != nil {
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
	address, err := peer.FreeAddress() // the producers find every server of the directory there
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
		if h.kills%10 == 0 {
			fmt.Printf("crash: %d kills, %d records checked, %.0f s\n", h.kills, h.checked, time.Since(h.start).Seconds())
		}
	}
	return h.whole(dir, address, streams, idempotent)
}

// policies are chosen at random: under none of them may a kill lose anything.
var policies = []string{"never", "interval=10ms", "always"}

func (h *harness) serve(dir, address string) (*peer.Server, error) {
	policy := policies[h.random.IntN(len(policies))]
	server, err := peer.StartServer(dir, "--listen", address, "--fsync", policy,
		"--segment-bytes", "16MiB", "--max-message-bytes", "8MiB")
	if err != nil {
		err = fmt.Errorf("start after kill %d: %w", h.kills, err)
	}
	return server, err
}

// round starts the server, checks its logs, lets producers write, and kills it.
func (h *harness) round(dir, address string, streams []*stream, idempotent *idempotent) error {
	server, err := h.serve(dir, address)
	if err != nil {
		return err
	}
	if err := h.check(address, streams); err != nil {
		server.Kill()
		return fmt.Errorf("after kill %d: %w", h.kills, err)
	}
	wait, err := startRaw(address, streams, h.random.Uint64())
	if err != nil {
		server.Kill()
		return err
	}
	idempotent.writing.Store(true)
	time.Sleep(time.Duration(5+h.random.IntN(150)) * time.Millisecond)
	server.Kill()
	idempotent.writing.Store(false)
	h.kills++
	if err := wait(); err != nil { // reads the acknowledgements in flight
		return err
	}
	if err := idempotent.failed(); err != nil {
		return err
	}
	return h.tear(dir, streams)
}

// check reads the new records of every log.
func (h *harness) check(address string, streams []*stream) error {
	return h.read(address, streams, func(s *stream) *progress { return &s.progress }, &h.checked)
}

// whole stops everything cleanly and reads every log from its beginning.
func (h *harness) whole(dir, address string, streams []*stream, idempotent *idempotent) error {
	server, err := h.serve(dir, address)
	if err != nil {
		return err
	}
	if err := errors.Join(idempotent.drain(), idempotent.failed()); err != nil {
		server.Kill()
		return err
	}
	err = h.check(address, streams)
	if err == nil {
		err = h.read(address, streams, func(*stream) *progress { return newProgress() }, &h.rereads)
	}
	for _, s := range streams {
		h.acked += s.ackedRecords()
	}
	return errors.Join(err, server.Stop())
}
