// Command mutants shows what the simulation of the whole server finds. It builds the simulation with one deliberate bug at a time and
// runs it until a seed fails. A bug that survives names an operation, a fault or a check that the simulation lacks.
//
// The bugs are the tables of this package: texts that stand exactly once in a file, and what stands there instead. A test holds them
// to that. Nothing in the tree is changed: the compiler gets the changed files as an overlay.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	h := &hunt{root: ".", verdicts: make([]*verdict, len(mutants))}
	only := flag.String("only", "", "only the bugs whose name matches this `REGEXP`")
	markdown := flag.Bool("markdown", false, "end with a table in Markdown")
	parallel := flag.Int("parallel", runtime.NumCPU(), "`N` bugs at once")
	flag.IntVar(&h.seeds, "seeds", 2000, "try seeds 1 to `N`")
	flag.DurationVar(&h.timeout, "timeout", 30*time.Minute, "`TIME` for the seeds of one bug, after which it hangs")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err == nil {
		err = h.all(ctx, chosen, *parallel)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1)
	}
	print := printText
	if *markdown {
		print = printMarkdown
	}
	if !print(os.Stdout, h.judged()) {
		os.Exit(1)
	}
}

// hunt looks for the first seed that finds each bug.
type hunt struct {
	root     string // of the tree
	seeds    int
	timeout  time.Duration
	dir      string // for changed files and test binaries
	verdicts []*verdict
}

// all builds and runs the chosen bugs, some at once.
func (h *hunt) all(ctx context.Context, chosen *regexp.Regexp, parallel int) (err error) {
	if h.dir, err = os.MkdirTemp("", "oneplusn-mutants-"); err != nil {
		return err
	}
	defer os.RemoveAll(h.dir)
	turn := make(chan struct{}, max(parallel, 1))
	var running sync.WaitGroup
	for i, m := range mutants {
		if !chosen.MatchString(m.name) {
			continue
		}
		running.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if ctx.Err() == nil {
				h.verdicts[i] = h.judge(ctx, m)
				fmt.Fprintln(os.Stderr, h.verdicts[i])
			}
		})
	}
	running.Wait()
	return ctx.Err()
}

// judged is what was found out, in the order of the tables.
func (h *hunt) judged() []*verdict {
	return slices.DeleteFunc(slices.Clone(h.verdicts), func(v *verdict) bool { return v == nil })
}
