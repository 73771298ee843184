package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"oneplusn/fanout"
)

// fakeSource is a broker with figures of its own, or one whose loop does not answer.
type fakeSource struct {
	stats fanout.Stats
	err   error
}

func (s fakeSource) Stats(ctx context.Context) (fanout.Stats, error) {
	if s.err != nil {
		return fanout.Stats{}, s.err
	}
	return s.stats, ctx.Err()
}

func (s fakeSource) WriteEvents(_ context.Context, w io.Writer) error {
	if s.err != nil {
		return s.err
	}
	_, err := io.WriteString(w, "an event\n")
	return err
}

// numbered gives every number in a snapshot a value of its own, and every map and list an entry, so that two that are mixed up
// are seen.
func numbered() fanout.Stats {
	var s fanout.Stats
	n := 1000
	number(reflect.ValueOf(&s).Elem(), &n)
	return s
}

func number(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				number(v.Field(i), n)
			}
		}
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		number(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		if v.Type().Key().Kind() == reflect.String {
			v.SetMapIndex(reflect.ValueOf("label").Convert(v.Type().Key()), value)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		number(v.Index(0), n)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.String:
		v.SetString("text")
	}
}

// get asks for a page.
func get(t *testing.T, source Source, path string) (status int, contentType string, body string) {
	t.Helper()
	server := httptest.NewServer(Handler(source))
	defer server.Close()
	resp, err := http.Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(text)
}

func scrape(t *testing.T, source Source) map[string]*dto.MetricFamily {
	t.Helper()
	status, contentType, text := get(t, source, "/metrics")
	if status != http.StatusOK || !strings.HasPrefix(contentType, "text/plain") {
		t.Fatalf("status %d, %s:\n%s", status, contentType, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// Prometheus's rules for names: one prefix, and a total is a counter and a counter a total.
func TestMetricsAreWhatPrometheusExpects(t *testing.T) {
	families := scrape(t, fakeSource{stats: numbered()})
	own := 0
	for name, family := range families {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") {
			continue
		}
		own++
		if !strings.HasPrefix(name, "oneplusn_") {
			t.Errorf("%s: every metric's name begins with oneplusn_", name)
		}
		if isCounter := family.GetType() == dto.MetricType_COUNTER; isCounter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %v", name, family.GetType())
		}
		if help := family.GetHelp(); help == "" || !strings.HasSuffix(help, ".") {
			t.Errorf("%s: its help %q is no sentence", name, help)
		}
		for _, m := range family.GetMetric() {
			if m.GetGauge().GetValue() == 0 && m.GetCounter().GetValue() == 0 && m.GetHistogram().GetSampleCount() == 0 && name != "oneplusn_copied_bytes_total" {
				t.Errorf("%s is 0, but no figure of the snapshot is", name)
			}
		}
	}
	if own < 25 {
		t.Errorf("%d metrics of our own", own)
	}
}

// Each metric shows the figure that it is named after.
func TestMetricsShowTheFigureThatTheyAreNamedAfter(t *testing.T) {
	s := numbered()
	families := scrape(t, fakeSource{stats: s})
	for name, want := range map[string]float64{
		"oneplusn_up":                           1,
		"oneplusn_connections":                  float64(s.Connections),
		"oneplusn_connections_accepted_total":   float64(s.Accepted),
		"oneplusn_waiting_fetches":              float64(s.WaitingFetches),
		"oneplusn_cold_lookups_total":           float64(s.ColdLookups),
		"oneplusn_topics":                       float64(s.Topics),
		"oneplusn_partitions":                   float64(s.Partitions),
		"oneplusn_log_bytes":                    float64(s.LogBytes),
		"oneplusn_published_bytes_total":        float64(s.Ledger.PublishedBytes),
		"oneplusn_published_records_total":      float64(s.PublishedRecords),
		"oneplusn_produce_errors_total":         float64(s.ProduceErrors),
		"oneplusn_ring_entries_submitted_total": float64(s.Ring.Submitted),
		"oneplusn_ring_completions_total":       float64(s.Ring.Completed),
		"oneplusn_ring_enters_total":            float64(s.Ring.Enters),
		"oneplusn_ring_queued_when_full_total":  float64(s.Ring.QueuedWhenFull),
		"oneplusn_ring_in_flight":               float64(s.Ring.InFlight),
		"oneplusn_stale_completions_total":      float64(s.StaleCompletions),
		"oneplusn_pipes_open":                   float64(s.Pipes.Open),
		"oneplusn_pipes_lent":                   float64(s.Pipes.Lent),
		"oneplusn_pipes_max":                    float64(s.Pipes.Max),
		"oneplusn_pipes_waiting":                float64(s.Pipes.Waiting),
		"oneplusn_pipes_reclaimed_total":        float64(s.Pipes.Reclaimed),
		"oneplusn_request_memory_bytes":         float64(s.RequestMemory),
		"oneplusn_response_memory_bytes":        float64(s.ResponseMemory),
		"oneplusn_connections_closed_total":     float64(s.Closed["label"]),
		"oneplusn_requests_total":               float64(s.Requests["label"]),
		"oneplusn_request_seconds_total":        s.RequestSeconds["label"],
		"oneplusn_ring_operations_total":        float64(s.Ring.ByOpcode["label"]),
	} {
		family := families[name]
		if family == nil || len(family.GetMetric()) != 1 {
			t.Errorf("%s is missing", name)
			continue
		}
		if got := family.GetMetric()[0].GetGauge().GetValue() + family.GetMetric()[0].GetCounter().GetValue(); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	byCopy := make(map[string]float64)
	for _, m := range families["oneplusn_copied_bytes_total"].GetMetric() {
		byCopy[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	for label, want := range map[string]uint64{"cache_to_user": s.Ledger.CacheToUserBytes, "user_to_socket": s.Ledger.UserToSocketBytes,
		"cache_to_socket": s.Ledger.CacheToSocketBytes, "by_reference": s.Ledger.ByReferenceBytes, "headers": s.Ledger.HeaderBytes} {
		if byCopy[label] != float64(want) {
			t.Errorf("copied_bytes_total{copy=%q} is %v, want %d", label, byCopy[label], want)
		}
	}
}

func TestLoopThatDoesNotAnswerIsNotHealthy(t *testing.T) {
	stuck := fakeSource{err: context.DeadlineExceeded}
	for _, path := range []string{"/healthz", "/stats", "/debug/events"} {
		status, _, body := get(t, stuck, path)
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "the loop does not answer") {
			t.Errorf("%s: status %d, %q", path, status, body)
		}
	}
	families := scrape(t, stuck)
	up := families["oneplusn_up"]
	if up == nil || up.GetMetric()[0].GetGauge().GetValue() != 0 {
		t.Errorf("oneplusn_up is %v, want 0", up)
	}
	if families["oneplusn_connections"] != nil {
		t.Error("figures are shown that nobody has")
	}
}

func TestPagesAnswer(t *testing.T) {
	source := fakeSource{stats: numbered()}
	for path, want := range map[string]string{"/healthz": "ok\n", "/": "/metrics", "/debug/events": "an event\n", "/debug/pprof/": "goroutine", "/debug/pprof/cmdline": "admin.test"} {
		if status, _, body := get(t, source, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, %q", path, status, body)
		}
	}
	if status, _, _ := get(t, source, "/no-such-page"); status != http.StatusNotFound {
		t.Errorf("an unknown page: status %d", status)
	}
}

func TestStatsAreOneSnapshotAsJSON(t *testing.T) {
	want := numbered()
	status, contentType, body := get(t, fakeSource{stats: want}, "/stats")
	if status != http.StatusOK || contentType != "application/json" {
		t.Fatalf("status %d, %s", status, contentType)
	}
	var got fanout.Stats
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.PID == want.PID || got.RSSBytes == 0 || got.CPUUserSeconds == want.CPUUserSeconds {
		t.Errorf("the process's own figures were not read: %+v", got)
	}
	// What the operating system says is not the snapshot's.
	got.PID, got.RSSBytes, got.RSSAnonBytes = want.PID, want.RSSBytes, want.RSSAnonBytes
	got.CPUUserSeconds, got.CPUSystemSeconds = want.CPUUserSeconds, want.CPUSystemSeconds
	got.Ledger.DiskToCacheBytes, got.Ledger.DiskCounted = want.Ledger.DiskToCacheBytes, want.Ledger.DiskCounted
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// countingSource counts who asks.
type countingSource struct {
	fakeSource
	asked int
}

func (s *countingSource) Stats(ctx context.Context) (fanout.Stats, error) {
	s.asked++
	if _, ok := ctx.Deadline(); !ok {
		return fanout.Stats{}, errors.New("nothing bounds how long this waits")
	}
	return s.fakeSource.Stats(ctx)
}

// Figures that belong together come from one look at the loop, and no page waits for the loop for ever.
func TestEachPageLooksAtTheLoopOnceAndNotForEver(t *testing.T) {
	for _, path := range []string{"/metrics", "/stats", "/healthz"} {
		source := &countingSource{fakeSource: fakeSource{stats: numbered()}}
		if status, _, body := get(t, source, path); status != http.StatusOK || source.asked != 1 {
			t.Errorf("%s: status %d after %d looks: %s", path, status, source.asked, body)
		}
	}
}
