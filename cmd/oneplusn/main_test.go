package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// everyCommand calls f for all commands and theirs.
func everyCommand(t *testing.T, f func(path string, c *cli.Command)) {
	t.Helper()
	n := 0
	var walk func(path string, commands []*cli.Command)
	walk = func(path string, commands []*cli.Command) {
		for _, c := range commands {
			n++
			f(strings.TrimSpace(path+" "+c.Name), c)
			walk(strings.TrimSpace(path+" "+c.Name), c.Subcommands)
		}
	}
	walk("", newApp(nil, nil).Commands)
	if n < 5 {
		t.Fatalf("%d commands were looked at", n)
	}
}

func TestEveryFlagHasAnEnvironmentVariableAndSaysWhatItIs(t *testing.T) {
	everyCommand(t, func(path string, c *cli.Command) {
		seen := make(map[string]bool)
		for _, flag := range c.Flags {
			name := flag.Names()[0]
			if name == "help" || name == "version" {
				continue
			}
			documented, ok := flag.(cli.DocGenerationFlag)
			if !ok || documented.GetUsage() == "" {
				t.Errorf("%s --%s says nothing about itself", path, name)
				continue
			}
			variables := documented.GetEnvVars()
			if len(variables) == 0 {
				t.Errorf("%s --%s has no environment variable", path, name)
			}
			for _, v := range variables {
				if !strings.HasPrefix(v, "ONEPLUSN_") || v != strings.ToUpper(v) || seen[v] {
					t.Errorf("%s --%s: the environment variable %s is not ONEPLUSN_ and capitals, or another flag's too", path, name, v)
				}
				seen[v] = true
			}
		}
	})
}

func TestEveryCommandHasHelp(t *testing.T) {
	everyCommand(t, func(path string, c *cli.Command) {
		code, stdout, stderr := command(t, append(strings.Fields(path), "--help")...)
		if code != exitOK || stderr != "" || !strings.Contains(stdout, c.Usage) || c.Usage == "" {
			t.Errorf("%s --help: exit code %d, %q, %q", path, code, stdout, stderr)
		}
		for _, flag := range c.Flags {
			if name := "--" + flag.Names()[0]; !strings.Contains(stdout, name) {
				t.Errorf("%s --help does not name %s", path, name)
			}
		}
	})
	code, stdout, _ := command(t)
	if code != exitOK || !strings.Contains(stdout, "serve") || !strings.Contains(stdout, "doctor") {
		t.Errorf("without arguments: exit code %d, %q", code, stdout)
	}
	if code, stdout, _ := command(t, "--version"); code != exitOK || !strings.Contains(stdout, versionName()) {
		t.Errorf("--version: exit code %d, %q", code, stdout)
	}
}

// checkOneLine wants an error in one line that names the program.
func checkOneLine(t *testing.T, what, stderr string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "oneplusn: ") || !strings.HasSuffix(stderr, "\n") {
		t.Errorf("%s: the error is not one line that begins with \"oneplusn: \": %q", what, stderr)
	}
	if n := strings.Count(stderr, "oneplusn: "); n != 1 {
		t.Errorf("%s: %d lines say that they are the error: %q", what, n, stderr)
	}
}

func TestCommandLinesThatAreNotUnderstoodExitTwo(t *testing.T) {
	for _, row := range []struct {
		args []string
		says string
	}{
		{[]string{"sreve"}, `unknown command "sreve"`},
		{[]string{"--no-such-flag"}, "no-such-flag"},
		{[]string{"serve", "--no-such-flag"}, "oneplusn serve --help"},
		{[]string{"serve", "argument"}, `serve takes no arguments, "argument" was given`},
		{[]string{"doctor", "argument"}, `doctor takes no arguments`},
		{[]string{"doctor", "--subscribers", "0"}, "--subscribers is 0, allowed are 1 to"},
		{[]string{"serve", "--ring-size", "0"}, "the kernel allows 1 to 32768"},
		{[]string{"serve", "--ring-size", "-5"}, "the kernel allows 1 to 32768"},
		{[]string{"serve", "--ring-size", "40000"}, "40000 entries was asked for, the kernel allows 1 to 32768"},
		{[]string{"serve", "--ring-size", "many"}, "many"},
		{[]string{"serve", "--transfer", "teleport"}, "choose one of auto, splice, send, sendfile, copy"},
		{[]string{"serve", "--pipe-size", "1"}, "outside 4KiB to 1GiB"},
		{[]string{"serve", "--chunk-size", "0"}, "outside 1 to 1GiB"},
		{[]string{"serve", "--chunk-size", "64 parsecs"}, "write it as"},
		{[]string{"serve", "--pipes", "0"}, "allowed are 1 to"},
		{[]string{"serve", "--partitions", "0"}, "allowed are 1 to 10000"},
		{[]string{"serve", "--partitions", "10001"}, "allowed are 1 to 10000"},
		{[]string{"serve", "--max-connections", "0"}, "max-connections is 0"},
		{[]string{"serve", "--idle-timeout", "1ms"}, "idle-timeout"},
		{[]string{"serve", "--idle-timeout", "soon"}, "soon"},
		{[]string{"serve", "--request-memory", "1MiB"}, "request-memory"},
		{[]string{"serve", "--max-request-bytes", "8KiB"}, "cannot carry it"},
		{[]string{"serve", "--segment-bytes", "2GiB"}, "outside"},
		{[]string{"serve", "--fsync", "sometimes"}, "never, always, or interval=D"},
		{[]string{"serve", "--log-level", "chatty"}, "debug, info, warn, error"},
		{[]string{"serve", "--listen", "nonsense"}, `--listen "nonsense": write HOST:PORT`},
		{[]string{"serve", "--listen", ""}, `--listen "": write HOST:PORT`},
		{[]string{"serve", "--listen", "127.0.0.1:http"}, `--listen "127.0.0.1:http": write HOST:PORT with a port from 0 to 65535`},
		{[]string{"serve", "--admin", "nonsense"}, `--admin "nonsense": write HOST:PORT`},
		{[]string{"serve", "--advertise", "nonsense"}, `--advertise "nonsense": address nonsense: missing port in address: write HOST:PORT`},
		{[]string{"serve", "--cq-size", "3"}, "--cq-size is 3, allowed are 1024 (--ring-size) to 65536"},
		{[]string{"serve", "--cq-size", "-1"}, "--cq-size is -1"},
		{[]string{"serve", "--io-workers", "-1"}, "--io-workers is -1, allowed are 1 to 65536, or 0 for one per CPU"},
		{[]string{"serve", "--segment-age", "0s"}, "--segment-age is 0s, allowed are 1ms to 876000h0m0s"},
		{[]string{"serve", "--retention-age", "-1h"}, "--retention-age is -1h0m0s, allowed are 0 for no limit, and more"},
		{[]string{"serve", "--drain-timeout", "-1s"}, "--drain-timeout is -1s, allowed are 0s to 1000h0m0s"},
		{[]string{"serve", "--request-memory", "1MiB"}, "--request-memory is 1MiB, for requests of --max-request-bytes 100MiB it must be"},
		{[]string{"serve", "--copy-memory", "64KiB"}, "--copy-memory is 64KiB, which cannot hold one buffer of --chunk-size 1MiB"},
		{[]string{"serve", "--group-max-session-timeout", "1s"}, "--group-min-session-timeout is 6s, which is more than --group-max-session-timeout 1s"},
		{[]string{"serve", "--cold-cache", "1MiB"}, "--cold-cache is 1MiB, allowed are 16MiB to 16TiB, or 0 to leave it to the kernel"},
		{[]string{"serve", "--cold-cache", "16MiB", "--readahead", "8MiB"}, "--readahead is 8MiB, allowed are 0 to a quarter of --cold-cache, 4MiB"},
		{[]string{"serve", "--log-format", "xml"}, "xml"},
	} {
		what := strings.Join(row.args, " ")
		code, stdout, stderr := command(t, row.args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, row.says) {
			t.Errorf("%s: exit code %d, %q, %q, want %d with %q", what, code, stdout, stderr, exitUsage, row.says)
		}
		checkOneLine(t, what, stderr)
	}
}

func TestEnvironmentVariablesStandInForFlags(t *testing.T) {
	for variable, row := range map[string]struct{ value, says string }{
		"ONEPLUSN_RING_SIZE":  {"40000", "the kernel allows 1 to 32768"},
		"ONEPLUSN_TRANSFER":   {"teleport", "choose one of"},
		"ONEPLUSN_CHUNK_SIZE": {"nothing", "write it as"},
		"ONEPLUSN_LOG_LEVEL":  {"chatty", "debug, info, warn, error"},
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, row.value)
			code, _, stderr := command(t, "serve")
			if code != exitUsage || !strings.Contains(stderr, row.says) {
				t.Errorf("exit code %d, %q, want %d with %q", code, stderr, exitUsage, row.says)
			}
			checkOneLine(t, variable, stderr)
		})
	}
}

func TestErrorsOfSeveralLinesBecomeOne(t *testing.T) {
	err := errors.Join(errors.New("first"), fmt.Errorf("second\r\nthird\n"))
	if got := oneLine(err.Error()); got != "first; second; third" {
		t.Errorf("%q", got)
	}
}

func TestNoFlagOfServeIsMissingFromTheTable(t *testing.T) {
	names := make(map[string]bool)
	for _, f := range serveCommand().Flags {
		names[f.Names()[0]] = true
	}
	for _, want := range []string{"listen", "advertise", "admin", "data", "transfer", "partitions", "auto-create-topics", "ring-size",
		"cq-size", "io-workers", "pipe-size", "pipes", "chunk-size", "drain-timeout", "stall-timeout", "idle-timeout", "ready-fd"} {
		if !names[want] {
			t.Errorf("serve has no --%s", want)
		}
	}
	sorted := slices.Sorted(func(yield func(string) bool) {
		for n := range names {
			if !yield(n) {
				return
			}
		}
	})
	if len(sorted) != len(serveCommand().Flags) {
		t.Errorf("a flag is there twice: %v", sorted)
	}
}

func TestOneThingIsNotManyThings(t *testing.T) {
	for n, want := range map[int64]string{0: "0 records", 1: "1 record", 2: "2 records", 1000: "1000 records"} {
		if got := counted(n, "record"); got != want {
			t.Errorf("%d is said %q, want %q", n, got, want)
		}
	}
}
