package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"oneplusn/cmd/internal/report"
)

// benchChildren lets bench start this test binary as its servers.
func benchChildren(t *testing.T) {
	t.Helper()
	t.Setenv(asMain, "1")
}

func TestBenchRefusesFlagsOfAnotherScenario(t *testing.T) {
	for line, says := range map[string]string{
		"--publish --live":                    "--live and --publish are two scenarios: choose one",
		"--publish --target 127.0.0.1:1":      "--target does not apply to --publish, whose flags are --producers, --record-size",
		"--publish --subscribers 5":           "--subscribers does not apply to --publish",
		"--publish --transfer splice":         "--transfer does not apply to --publish",
		"--publish --discard":                 "--discard does not apply to --publish",
		"--publish --nginx auto":              "--nginx does not apply to --publish",
		"--publish --size 1MiB":               "--size does not apply to --publish",
		"--publish --runs 0":                  "--runs is 0, allowed are 1 to 1000",
		"--publish --duration 0s":             "--duration must be above 0",
		"--publish --producers 1,none":        `"none" is not a number from 1 to 10000`,
		"--publish --serve-flag fsync=never":  "--serve-flag fsync does not apply to --publish",
		"--publish --serve-flag fsync":        "write it as NAME=VALUE",
		"--live --stalled 1":                  "--stalled does not apply to --live",
		"--live --discard":                    "--discard does not apply to --live",
		"--cold --publish":                    "--publish and --cold are two scenarios",
		"--cold --target 127.0.0.1:1":         "--target does not apply to --cold",
		"--cold --ring-size 8":                "--ring-size does not apply to --cold",
		"--cold --plot x.svg":                 "--plot does not apply to --cold",
		"--cold --transfer all":               "--cold takes one --transfer",
		"--cold --transfer sendfile":          "but not sendfile, which leaves the page cache to the kernel",
		"--cold --transfer teleport":          "choose one of",
		"--cold --subscribers 1,10":           "--cold takes one number of --subscribers",
		"--cold --cold-readers 0":             "--cold-readers is 0",
		"--cold --cold-cache 1MiB":            "outside 16MiB to",
		"--cold --hot-every 0s":               "--hot-every is 0s, allowed is 1ms or more",
		"--cold --alone -1s":                  "--alone must not be negative",
		"--cold --size 8MiB --hot-size 8MiB":  "--hot-size 8MiB of --size 8MiB leaves less than one batch of 256KiB",
		"--cold --hot-size 1KiB":              "leaves less than one batch",
		"--cold --file x":                     "--cold needs --size",
		"--cold --runs 0":                     "--runs is 0",
		"--cold --serve-flag cold-cache=0":    "--serve-flag cold-cache does not apply to --cold",
		"--threads -1":                        "--threads is -1, allowed are 0 to 1024",
		"--nginx /no/nginx --discard":         "--nginx /no/nginx:",
		"--plot x.bmp":                        "--plot x.bmp: the name must end with one of .svg, .png, .pdf",
		"--plot /no/dir/x.svg":                "--plot: open /no/dir/x.svg",
		"--json /no/dir/x.json":               "--json: open /no/dir/x.json",
		"--cold --json /no/dir/x.json":        "--json: open /no/dir/x.json",
		"--publish --plot /no/dir/x.svg":      "--plot: open /no/dir/x.svg",
		"--target nonsense":                   `--target "nonsense": write HOST:PORT`,
		"--serve-flag no-such=1":              "oneplusn serve has no flag --no-such",
		"--hot-size 1MiB":                     "--hot-size needs --cold",
		"--producers 3":                       "--producers needs --publish",
		"--rate 3":                            "--rate needs --live",
		"--duration 1s":                       "--duration needs --live or --publish",
		"--topic t":                           "--target-admin, --target-pid and --topic need --target",
		"--subscribers none":                  `"none" is not a number`,
		"--target 127.0.0.1:1 --ring-size 64": "not to the one of --target",
	} {
		code, stdout, stderr := command(t, append([]string{"bench"}, strings.Fields(line)...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, says) {
			t.Errorf("bench %s: exit code %d, %q, %q, want %d with %q", line, code, stdout, stderr, exitUsage, says)
		}
		checkOneLine(t, line, stderr)
	}
}

func TestEveryBenchFlagBelongsToAScenario(t *testing.T) {
	known := make(map[string]bool)
	for _, f := range benchFlags() {
		known[f.Names()[0]] = true
	}
	taken := make(map[string]bool)
	for _, s := range benchScenarios {
		if s.name != "" && !known[s.name] {
			t.Errorf("scenario %s has no flag", s.name)
		}
		for _, name := range s.flags {
			if taken[name] = true; !known[name] {
				t.Errorf("scenario %q takes --%s, which there is not", s.name, name)
			}
		}
	}
	for name := range known {
		if !taken[name] && !isScenario(name) {
			t.Errorf("no scenario takes --%s", name)
		}
	}
}

func TestPublishBenchReportsEveryRun(t *testing.T) {
	benchChildren(t)
	dir := t.TempDir()
	jsonPath, plotPath := filepath.Join(dir, "p.json"), filepath.Join(dir, "p.svg")
	code, stdout, stderr := command(t, "bench", "--publish", "--producers", "1,2", "--duration", "20ms", "--runs", "2", "--dir", dir,
		"--json", jsonPath, "--plot", plotPath)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{`plain +1 +\d+ \(\d+-\d+\)`, `never +2 `, `interval=1s +2 `, `always +1 .*\d+\.\d\d \(.*\)`, `to 1 producer`} {
		if !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("the table has no %s:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "run 2 of 2: --fsync always, producers 2, for 20ms") {
		t.Errorf("it said %q", stderr)
	}
	var runs []*report.PublishRun
	text, err := os.ReadFile(jsonPath)
	if err == nil {
		err = json.Unmarshal(text, &runs)
	}
	if err != nil || len(runs) != 2*(1+3*2) {
		t.Fatalf("the file has %d runs: %v", len(runs), err)
	}
	for _, r := range runs {
		if r.Batches == 0 || r.P50Millis <= 0 || r.Seconds <= 0 || (r.Syncs == nil) != (r.Fsync == report.PlainWrites) ||
			r.Fsync == "always" && *r.Syncs == 0 {
			t.Errorf("run %d of --fsync %s: %+v", r.Run, r.Fsync, r)
		}
	}
	if plot, err := os.ReadFile(plotPath); err != nil || !strings.Contains(string(plot), "always") {
		t.Errorf("the plot does not name its bars: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "oneplusn-bench-*")); err != nil || len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestColdBenchReportsBothPolicies(t *testing.T) {
	benchChildren(t)
	jsonPath := filepath.Join(t.TempDir(), "c.json")
	code, stdout, stderr := command(t, "bench", "--cold", "--size", "12MiB", "--hot-size", "3MiB", "--batch-size", "64KiB",
		"--cold-cache", "16MiB", "--subscribers", "3", "--cold-readers", "2", "--hot-every", "2ms", "--alone", "20ms",
		"--json", jsonPath)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{`(?m)^ +kernel +\d+ `, `(?m)^ *bounded, 16 MiB +\d+ `} {
		if !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("the table has no %s:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "run 1 of 1, bounded: beside cold readers of 9 MiB, 2 of them ...") {
		t.Errorf("it said %q", stderr)
	}
	var runs []*report.ColdRun
	text, err := os.ReadFile(jsonPath)
	if err == nil {
		err = json.Unmarshal(text, &runs)
	}
	if err != nil || len(runs) != 2 {
		t.Fatalf("the file has %d runs: %v", len(runs), err)
	}
	for _, r := range runs {
		if r.ColdBytes < 2*r.ColdPartBytes || r.ColdPartBytes+r.HotPartBytes < 12<<20 || r.HotPartBytes < 3<<20 || r.Hot.Fetches == 0 ||
			r.Alone.Fetches == 0 || r.Hot.MaxMillis < r.Hot.P50Millis || r.Seconds <= 0 ||
			r.CacheCounted && (r.HotCachedMin > r.HotCachedAtEnd || r.ColdCachedMax < r.ColdCachedAtEnd || r.ColdCachedMax == 0) {
			t.Errorf("run %d, %s: %s", r.Run, r.Policy, text)
		}
	}
}
