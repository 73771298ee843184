// Package admin serves what operators look at, over HTTP: /metrics for Prometheus, /stats as JSON for people and the
// load generator, /healthz, /debug/events and /debug/pprof.
//
// It runs in goroutines of its own and reaches the loop only through [fanout.Broker.Stats]; a slow scraper costs
// subscribers nothing.
//
// # Invariants
//
//   - Nothing here writes to the broker.
//   - Every answer is one snapshot: the figures in it belong together.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"oneplusn/fanout"
)

// snapshotTimeout bounds how long a request waits for the loop. A loop that does not answer within it is not healthy.
const snapshotTimeout = 5 * time.Second

// Source is the broker as this package sees it.
type Source interface {
	Stats(ctx context.Context) (fanout.Stats, error)
	WriteEvents(ctx context.Context, w io.Writer) error
}

// Handler serves the admin pages of source.
func Handler(source Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(source), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) { serveStats(w, r, source) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { serveHealth(w, r, source) })
	mux.HandleFunc("GET /debug/events", func(w http.ResponseWriter, r *http.Request) { serveEvents(w, r, source) })
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", serveIndex)
	return mux
}

const index = `oneplusn
/metrics      for Prometheus
/stats        the same and more, as JSON
/healthz      200 while the loop answers
/debug/events the last operations of the loop
/debug/pprof  profiles of the process
`

func serveIndex(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(index))
}

func serveStats(w http.ResponseWriter, r *http.Request, source Source) {
	ctx, cancel := context.WithTimeout(r.Context(), snapshotTimeout)
	defer cancel()
	stats, err := source.Stats(ctx)
	if err != nil {
		http.Error(w, "the loop does not answer: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	stats.ReadProcess()
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(stats)
}

func serveEvents(w http.ResponseWriter, r *http.Request, source Source) {
	ctx, cancel := context.WithTimeout(r.Context(), snapshotTimeout)
	defer cancel()
	var events bytes.Buffer
	if err := source.WriteEvents(ctx, &events); err != nil {
		http.Error(w, "the loop does not answer: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(events.Bytes())
}

func serveHealth(w http.ResponseWriter, r *http.Request, source Source) {
	ctx, cancel := context.WithTimeout(r.Context(), snapshotTimeout)
	defer cancel()
	if _, err := source.Stats(ctx); err != nil {
		http.Error(w, "the loop does not answer: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
