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
	mux.HandleFunc("GET /stats", page("application/json", func(ctx context.Context, to io.Writer) error {
		stats, err := source.Stats(ctx)
		if err != nil {
			return err
		}
		stats.ReadProcess()
		encoder := json.NewEncoder(to)
		encoder.SetIndent("", "  ")
		return encoder.Encode(stats)
	}))
	mux.HandleFunc("GET /healthz", page(plainText, func(ctx context.Context, to io.Writer) error {
		_, err := source.Stats(ctx)
		_, _ = io.WriteString(to, "ok\n")
		return err
	}))
	mux.HandleFunc("GET /debug/events", page(plainText, source.WriteEvents))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, index) })
	return mux
}

const index = `oneplusn
/metrics      for Prometheus
/stats        the same and more, as JSON
/healthz      200 while the loop answers
/debug/events the last operations of the loop
/debug/pprof  profiles of the process
`

const plainText = "text/plain; charset=utf-8"

// page serves the loop's answer. It is buffered, so that the loop waits for no client, and an error is never half a page.
func page(contentType string, ask func(ctx context.Context, to io.Writer) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), snapshotTimeout)
		defer cancel()
		var body bytes.Buffer
		if err := ask(ctx, &body); err != nil {
			http.Error(w, "the loop does not answer: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body.Bytes())
	}
}
