package main

import (
	"strings"
	"testing"
)

func TestAFlagWithAWrongValueIsNamedAsItWasTyped(t *testing.T) {
	for line, says := range map[string]string{
		"serve --partitions x":                   `oneplusn: --partitions "x": write a whole number (oneplusn serve --help lists the flags)`,
		"serve --partitions 9999999999999999999": `oneplusn: --partitions "9999999999999999999": write a whole number`,
		"serve --auto-create-topics=maybe":       `oneplusn: --auto-create-topics "maybe": write true or false`,
		"serve --segment-age 7d":                 `oneplusn: --segment-age "7d": write a duration with its unit, as in 500ms, 10s or 1h30m`,
		"serve --chunk-size 2GiB":                `oneplusn: --chunk-size: size "2GiB" is outside 1 to 1GiB`,
		"serve --chunk-size=":                    `oneplusn: --chunk-size: size "" is not a number of bytes`,
		"serve --data":                           `oneplusn: --data needs a value`,
		"serve --cold-cach 1MiB":                 `oneplusn: unknown flag --cold-cach (oneplusn serve --help lists the flags)`,
		"bench --live --rate x":                  `oneplusn: --rate "x": write a number`,
		"topics create t --partitions x":         `oneplusn: --partitions "x": write a whole number`,
		"sub t --count x":                        `oneplusn: --count "x": write a whole number`,
	} {
		code, _, stderr := command(t, strings.Fields(line)...)
		if code != exitUsage || !strings.HasPrefix(stderr, says) {
			t.Errorf("%s: exit code %d, %q, want %d with %q", line, code, stderr, exitUsage, says)
		}
		checkOneLine(t, line, stderr)
	}
	for variable, row := range map[string][2]string{
		"ONEPLUSN_PARTITIONS":         {"x", `oneplusn: $ONEPLUSN_PARTITIONS "x": write a whole number`},
		"ONEPLUSN_AUTO_CREATE_TOPICS": {"maybe", `oneplusn: $ONEPLUSN_AUTO_CREATE_TOPICS "maybe": write true or false`},
		"ONEPLUSN_IDLE_TIMEOUT":       {"7d", `oneplusn: $ONEPLUSN_IDLE_TIMEOUT "7d": write a duration`},
		"ONEPLUSN_PIPE_SIZE":          {"1", `oneplusn: $ONEPLUSN_PIPE_SIZE: size "1" is outside 4KiB to 1GiB`},
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, row[0])
			if code, _, stderr := command(t, "serve"); code != exitUsage || !strings.HasPrefix(stderr, row[1]) {
				t.Errorf("exit code %d, %q, want %d with %q", code, stderr, exitUsage, row[1])
			}
		})
	}
}
