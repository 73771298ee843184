package fanout

import (
	"time"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/offsets"
	"oneplusn/fanout/produce"
)

// base is what requests stand on: the parts of the server, and what all clients share. Everything in it belongs to the loop's
// thread.
type base struct {
	config    Config
	loop      *loop.Loop
	conns     *conn.Table
	clients   []client // one for each slot of conns
	catalog   *catalog.Catalog
	committer *commit.Committer
	producer  *produce.Producer
	fetcher   *fetch.Fetcher
	offsets   *offsets.Log

	metadata   sharedMetadata
	turns      *loop.Turns
	slowest    slowRequest // of the turn under way
	scratch    scratch
	counters   counters
	inflating  loop.Bounded
	describing loop.Bounded
	limitLog   loop.LogLimit
}

// counters are what is counted of requests. They belong to its thread; [Broker.Stats] takes a copy there.
type counters struct {
	requests     [maxKey]uint64
	requestNanos [maxKey]uint64
	stale        uint64
	turns        uint64
}

func (c *counters) request(key int16) {
	if key >= 0 && key < maxKey {
		c.requests[key]++
	}
}

func (c *counters) requestSeconds(key int16, took time.Duration) {
	if key >= 0 && key < maxKey {
		c.requestNanos[key] += uint64(took)
	}
}
