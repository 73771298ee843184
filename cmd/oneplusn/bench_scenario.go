package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// benchScenario is one kind of measurement, and the flags that apply to it.
type benchScenario struct {
	name  string // of its flag; empty for the default
	run   func(*cli.Context) error
	flags []string
}

// benchScenarios begin with the default.
var benchScenarios = []benchScenario{
	{"", benchReaders, []string{"target", "target-admin", "target-pid", "topic", "size", "record-size", "batch-size", "file", "subscribers", "transfer",
		"ring-size", "fetch-size", "discard", "stalled", "stall", "trickling", "runs", "threads", "nginx", "dir", "serve-flag", "json", "plot"}},
	{"live", benchReaders, []string{"target", "target-admin", "target-pid", "topic", "record-size", "subscribers", "transfer", "ring-size", "runs",
		"threads", "rate", "duration", "dir", "serve-flag", "json", "plot"}},
	{"publish", benchPublish, []string{"producers", "record-size", "batch-size", "duration", "runs", "dir", "serve-flag", "json", "plot"}},
	{"cold", benchCold, []string{"size", "hot-size", "record-size", "batch-size", "file", "subscribers", "hot-every", "alone", "cold-readers",
		"cold-cache", "transfer", "fetch-size", "discard", "runs", "threads", "dir", "serve-flag", "json"}},
}

// scenarioOf is the scenario of a command line. It refuses two at once, and flags that do not apply to the chosen one.
func scenarioOf(c *cli.Context) (benchScenario, error) {
	chosen := benchScenarios[0]
	for _, s := range benchScenarios[1:] {
		switch {
		case !c.Bool(s.name):
		case chosen.name != "":
			return chosen, usageErrorf("--%s and --%s are two scenarios: choose one", chosen.name, s.name)
		default:
			chosen = s
		}
	}
	for _, f := range benchFlags() {
		name := f.Names()[0]
		if c.IsSet(name) && !slices.Contains(chosen.flags, name) && !isScenario(name) {
			return chosen, refuseFlag(name, chosen)
		}
	}
	return chosen, nil
}

func isScenario(flag string) bool {
	return slices.ContainsFunc(benchScenarios, func(s benchScenario) bool { return s.name == flag })
}

func refuseFlag(flag string, chosen benchScenario) error {
	if chosen.name != "" {
		return usageErrorf("--%s does not apply to --%s, whose flags are --%s", flag, chosen.name, strings.Join(chosen.flags, ", --"))
	}
	var takers []string
	for _, s := range benchScenarios {
		if slices.Contains(s.flags, flag) {
			takers = append(takers, "--"+s.name)
		}
	}
	return usageErrorf("--%s needs %s", flag, strings.Join(takers, " or "))
}
