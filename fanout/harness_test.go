package fanout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/wire"
)

// server is a broker on a free port of 127.0.0.1 with a directory of its own.
type server struct {
	t                 *testing.T
	broker            *Broker
	log               *logLines
	ended             chan error
	before            holdings
	stopOnce, endOnce sync.Once
	// clients are all that were dialed.
	clients []*dialed
	// wantEnd is a part of the error that Run must return; empty for none.
	wantEnd string
}

// testConfig is small enough to start in a moment.
func testConfig(t *testing.T) Config {
	c := DefaultConfig()
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	c.Ring.Entries, c.Ring.RecvBuffers, c.Ring.Workers = 64, 64, 2
	c.MaxConnections = 128
	c.Log.SegmentBytes = 64 << 20
	c.RetentionCheck = time.Hour // records of most tests have the time 0: a test of more than the default's minute would lose them
	c.DrainTimeout = 5 * time.Second
	c.Group.InitialRebalanceDelay, c.Group.LoneMemberDelay = 20*time.Millisecond, 5*time.Millisecond
	c.pace.sweep, c.pace.busyPort, c.pace.produceWait = 50*time.Millisecond, 2*conn.BusyPortPoll, 50*time.Millisecond
	c.Logger = slog.New(slog.DiscardHandler)
	return c
}

// start runs a broker, and checks at the end of the test that it stops cleanly and leaves nothing behind.
func start(t *testing.T, change func(*Config)) *server {
	t.Helper()
	return startWith(t, change, nil)
}

// startTuned is start with a second change, to values that a user is not allowed: it is made after the check.
func startTuned(t *testing.T, change, tune func(*Config)) *server {
	t.Helper()
	return startWith(t, change, func(b *Broker) { tune(&b.config) })
}

// startWith is start for a test that puts something in the place of a part of the broker.
func startWith(t *testing.T, change func(*Config), replace func(*Broker)) *server {
	t.Helper()
	before := held(t)
	config := testConfig(t)
	lines := new(logLines)
	config.Logger = slog.New(slog.NewTextHandler(lines, nil))
	if change != nil {
		change(&config)
	}
	b, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	if replace != nil {
		replace(b)
	}
	s := &server{t: t, broker: b, log: lines, ended: make(chan error, 1), before: before}
	go func() { s.ended <- b.Run() }()
	select {
	case <-b.Ready():
	case err := <-s.ended:
		t.Fatalf("the broker ended at its start: %v", err)
	}
	t.Cleanup(s.stop)
	return s
}

// stop ends the broker and looks for anything that is left of it. Clients are closed before: their clean-up was
// registered later.
func (s *server) stop() {
	s.stopOnce.Do(func() {
		s.broker.Stop()
		s.awaitEnd()
		s.before.checkNothingLeft(s.t)
	})
}

// awaitEnd waits until the broker has stopped, and checks that all that it lent came back. Run itself fails if an
// operation is in flight or a pipe is lent.
func (s *server) awaitEnd() {
	s.t.Helper()
	s.endOnce.Do(s.checkEnd)
}

func (s *server) checkEnd() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if (err == nil) != (s.wantEnd == "") || err != nil && !strings.Contains(err.Error(), s.wantEnd) {
			s.t.Errorf("Run: %v, want %q", err, s.wantEnd)
		}
	case <-time.After(2 * patience):
		s.t.Fatal("the broker does not stop")
	}
	b := s.broker
	conns := b.conns.Stats()
	if conns.Connections != 0 || b.producer.Parked()+b.fetcher.Parked() != 0 {
		s.t.Errorf("after the end %d connections and %d waiting fetches are left", conns.Connections, b.producer.Parked()+b.fetcher.Parked())
	}
	for _, one := range b.budgets() {
		if one.Used() != 0 {
			s.t.Errorf("after the end %d of the %s budget have not been given back", one.Used(), one.Name())
		}
	}
	if b.counters.stale+conns.Stale != 0 {
		s.t.Errorf("%d completions came for connections that were gone", b.counters.stale+conns.Stale)
	}
}

// stats is one look at the broker.
func (s *server) stats() Stats {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	st, err := s.broker.Stats(ctx)
	if err != nil {
		s.t.Fatalf("the loop does not answer: %v", err)
	}
	return st
}

// await waits until the broker's counters say so.
func (s *server) await(what string, ok func(Stats) bool) Stats {
	s.t.Helper()
	var last Stats
	if !eventually(func() bool { last = s.stats(); return ok(last) }) {
		s.t.Fatalf("waiting for %s: %+v\nlog:\n%s", what, last, s.log)
	}
	return last
}

// logLines keeps the log.
type logLines struct {
	mu   sync.Mutex
	text []byte
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// dialed is one connection that speaks the protocol by hand.
type dialed struct {
	t    *testing.T
	conn *net.TCPConn
	next int32 // the correlation id of the next request
}

// dial connects. The connection is closed before the server is stopped.
func (s *server) dial() *dialed {
	s.t.Helper()
	return s.dialWith(0)
}

// slowWindowBytes holds a few of loopback's large segments and little of a bulk response: a window below one segment
// would make TCP itself slow.
const slowWindowBytes = 192 << 10

// dialSlow connects with a small receive buffer, so that little is on the way to it.
func (s *server) dialSlow() *dialed {
	s.t.Helper()
	return s.dialWith(slowWindowBytes)
}

func (s *server) dialWith(receiveBytes int) *dialed {
	s.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if receiveBytes > 0 {
			cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBytes) })
			err = errors.Join(err, cerr)
		}
		return err
	}}
	conn, err := dialer.Dial("tcp", s.broker.Address())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	c := &dialed{t: s.t, conn: conn.(*net.TCPConn)}
	s.clients = append(s.clients, c)
	return c
}

// otherClients are all that were dialed but some.
func (s *server) otherClients(but ...*dialed) []*dialed {
	return slices.DeleteFunc(slices.Clone(s.clients), func(c *dialed) bool { return slices.Contains(but, c) })
}

func (c *dialed) close() { _ = c.conn.Close() }

// write sends bytes as they are.
func (c *dialed) write(b []byte) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatalf("writing %d bytes: %v", len(b), err)
	}
}

// frame is a whole request as bytes.
func (c *dialed) frame(req kmsg.Request) []byte {
	c.next++
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, c.next)
}

func (c *dialed) send(req kmsg.Request) {
	c.t.Helper()
	c.write(c.frame(req))
}

// frameBytes reads a response without its size.
func (c *dialed) frameBytes() []byte {
	c.t.Helper()
	b, err := readFrame(c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func readFrame(conn net.Conn) ([]byte, error) {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, fmt.Errorf("reading a response's size: %w", err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if n, err := io.ReadFull(conn, b); err != nil {
		return nil, fmt.Errorf("%d of %d bytes of a response: %w", n, len(b), err)
	}
	return b, nil
}

// receive reads the response to req, which must be the oldest that is not answered.
func (c *dialed) receive(req kmsg.Request, correlationID int32) kmsg.Response {
	c.t.Helper()
	resp, err := parseResponse(c.frameBytes(), req, correlationID)
	if err != nil {
		c.t.Fatal(err)
	}
	checkErrors(c.t, reflect.ValueOf(resp).Elem(), requestOf(req.Key()))
	return resp
}

// checkErrors wants every error code of a response to be one that its request documents.
func checkErrors(t *testing.T, v reflect.Value, r *Request) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if code := v.Field(i); v.Type().Field(i).Name == "ErrorCode" && code.Int() != 0 && !slices.Contains(r.Errors, int16(code.Int())) {
				t.Errorf("%s is answered with error %d, which it does not document", wire.Describe(r.Key), code.Int())
			}
			checkErrors(t, v.Field(i), r)
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkErrors(t, v.Index(i), r)
		}
	}
}

func parseResponse(frame []byte, req kmsg.Request, correlationID int32) (kmsg.Response, error) {
	if got := int32(binary.BigEndian.Uint32(frame)); got != correlationID {
		return nil, fmt.Errorf("the response is to request %d, not to %d", got, correlationID)
	}
	body := frame[4:]
	resp := req.ResponseKind()
	if resp.IsFlexible() && resp.Key() != wire.KeyApiVersions {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("decoding a response: %w", err)
	}
	return resp, nil
}

// ask sends one request and reads its response.
func (c *dialed) ask(req kmsg.Request) kmsg.Response {
	c.t.Helper()
	c.send(req)
	return c.receive(req, c.next)
}

// expectClosed reads until the server closes the connection, and returns the bytes received before.
func (c *dialed) expectClosed() []byte {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(c.conn)
	if os.IsTimeout(err) {
		c.t.Fatal("the server does not close the connection")
	}
	return got // a reset is as good as an end
}

// create makes a topic.
func (c *dialed) create(topic string, partitions int32) {
	c.t.Helper()
	if code := c.tryCreate(topic, partitions); code != 0 {
		c.t.Fatalf("creating topic %s: error %d", topic, code)
	}
}

func (c *dialed) tryCreate(topic string, partitions int32) int16 {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 4
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 1
	req.Topics = append(req.Topics, t)
	return c.ask(req).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode
}

// remove deletes a topic.
func (c *dialed) remove(topic string) {
	c.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 3
	req.TopicNames = []string{topic}
	if code := c.ask(req).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode; code != 0 {
		c.t.Fatalf("deleting topic %s: error %d", topic, code)
	}
}

// alive fails the test unless the connection is served.
func (c *dialed) alive() {
	c.t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	if code := c.ask(req).(*kmsg.ApiVersionsResponse).ErrorCode; code != 0 {
		c.t.Fatalf("ApiVersions: error %d", code)
	}
}

// onLoop runs f on the loop's thread and waits for it.
func (s *server) onLoop(f func(b *Broker)) {
	s.t.Helper()
	ran := make(chan struct{})
	if !s.broker.Do(func() { f(s.broker); close(ran) }) {
		s.t.Fatal("the loop has ended")
	}
	<-ran
}
