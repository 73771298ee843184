package bench

import (
	"fmt"
	"strconv"

	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// Sweep lists the settings that drains and live runs measure: each number of subscribers with each mode and each ring size.
type Sweep struct {
	// Modes and RingSizes are those of started servers; ring size 0 is the default.
	Modes       []string
	RingSizes   []int
	Subscribers []int
	// Slow subscribers hardly read, beside the measured ones. If there are any, every configuration is measured without and
	// with them.
	Slow load.SlowOptions
	// Nginx is the nginx to compare with: a path, "auto", or empty for none.
	Nginx string
	// Runs is how often each configuration is measured.
	Runs int
}

// configuration is one measurement of a sweep.
type configuration struct {
	flags       []string // the server's
	nginx       bool
	subscribers int
	slow        load.SlowOptions
	name        string
}

// configurations lists the measurements of one run.
func (s *Site) configurations(o *Sweep) (all []configuration) {
	slowVariants := []load.SlowOptions{{}}
	if o.Slow.Any() {
		slowVariants = append(slowVariants, o.Slow)
	}
	for _, n := range o.Subscribers {
		for _, mode := range o.Modes {
			for _, ringSize := range o.RingSizes {
				c := configuration{subscribers: n, name: mode + ", ring default", flags: []string{"--transfer", mode}}
				if ringSize > 0 {
					c.name = fmt.Sprintf("%s, ring %d", mode, ringSize)
					c.flags = append(c.flags, "--ring-size", strconv.Itoa(ringSize))
				}
				if s.Target != nil {
					c.name = s.Target.Kafka
				}
				for _, c.slow = range slowVariants {
					all = append(all, c)
				}
			}
		}
		if o.Nginx != "" {
			all = append(all, configuration{subscribers: n, name: "nginx", nginx: true})
		}
	}
	return all
}

// sweep measures every configuration Runs times. measure gets a nil server for nginx.
func (s *Site) sweep(o *Sweep,
	measure func(*peer.Server, configuration) (*report.BenchRun, error)) (runs []*report.BenchRun, err error) {
	for run := range o.Runs {
		for _, c := range s.configurations(o) {
			s.progress.Step("run %d of %d: %s, %d subscribers%s ...", run+1, o.Runs, c.name, c.subscribers, slowName(c.slow))
			one := func(server *peer.Server) error {
				r, err := measure(server, c)
				if err != nil {
					return fmt.Errorf("%s with %d subscribers: %w", c.name, c.subscribers, err)
				}
				if r.Server == "" {
					r.Server = server.Kafka
				}
				runs = append(runs, r)
				return nil
			}
			if c.nginx {
				err = one(nil)
			} else {
				err = s.withServer(c.flags, one)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return runs, nil
}

// slowName names the slow subscribers that take part, for progress and tables.
func slowName(o load.SlowOptions) string {
	text := ""
	if o.Stalled > 0 {
		text += fmt.Sprintf(" +%d stalled", o.Stalled)
	}
	if o.Trickling > 0 {
		text += fmt.Sprintf(" +%d trickling", o.Trickling)
	}
	return text
}

// benchRun has the server's counters for the time of a run.
func benchRun(subscribers int, used peer.Stats) *report.BenchRun {
	r := &report.BenchRun{Subscribers: subscribers, ServerCPUSeconds: used.CPUSeconds(), CopiesCounted: used.Counted}
	if used.Counted {
		r.Server, r.RingSize = used.Transfer, used.RingSize
		r.QueuedWhenFull = int64(used.Ring.QueuedWhenFull)
		r.ServerRSSBytes, r.ServerRSSAnonBytes = int64(used.RSSBytes), int64(used.RSSAnonBytes)
		r.PipesLentMax, r.PipesLimit = used.Pipes.LentMax, used.Pipes.Max
	}
	return r
}
