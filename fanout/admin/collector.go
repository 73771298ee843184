package admin

import (
	"context"
	"reflect"

	"github.com/prometheus/client_golang/prometheus"

	"oneplusn/fanout"
	"oneplusn/fanout/metrics"
)

// collector turns one snapshot into metrics at each scrape.
type collector struct {
	source  Source
	up      *prometheus.Desc
	metrics []described
}

type described struct {
	metrics.Metric
	desc *prometheus.Desc
}

func newCollector(source Source) *collector {
	c := &collector{source: source, up: prometheus.NewDesc(metrics.Prefix+"up", "1 if the loop answered this scrape.", nil, nil)}
	for _, m := range metrics.Of(reflect.TypeFor[fanout.Stats]()) {
		d := prometheus.NewDesc(m.Name, m.Help, ifLabelled(m, m.Label), nil)
		if last := len(c.metrics) - 1; last >= 0 && c.metrics[last].Name == m.Name {
			d = c.metrics[last].desc
		}
		c.metrics = append(c.metrics, described{m, d})
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.up
	for i := range c.metrics {
		out <- c.metrics[i].desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	stats, err := c.source.Stats(ctx)
	if err != nil {
		out <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 0)
		return
	}
	stats.ReadProcess()
	out <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 1)
	for i := range c.metrics {
		m := &c.metrics[i]
		kind := prometheus.GaugeValue
		if m.IsCounter() {
			kind = prometheus.CounterValue
		}
		m.Each(stats, func(label string, value any) {
			switch v := value.(type) {
			case metrics.Histogram:
				out <- histogram(m.desc, v)
			case float64:
				out <- prometheus.MustNewConstMetric(m.desc, kind, v, ifLabelled(m.Metric, label)...)
			}
		})
	}
}

// ifLabelled is the name or the value of a metric's label, if it has one.
func ifLabelled(m metrics.Metric, text string) []string {
	if m.Label == "" {
		return nil
	}
	return []string{text}
}

// histogram has the counts up to each bound that Prometheus wants.
func histogram(d *prometheus.Desc, h metrics.Histogram) prometheus.Metric {
	upTo, buckets := uint64(0), make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		upTo += h.Counts[i]
		buckets[bound] = upTo
	}
	if len(h.Counts) > len(h.Bounds) {
		upTo += h.Counts[len(h.Bounds)]
	}
	return prometheus.MustNewConstHistogram(d, upTo, h.Seconds, buckets)
}
