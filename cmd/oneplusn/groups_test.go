package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

func TestAGroupGoesOnWhereItWas(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		publish(t, address, "jobs", numbered(10))
		member := []string{"sub", "jobs", "--server", address, "--group", "g", "--from", "beginning"}
		first := succeed(t, append(member, "--count", "4")...)
		rest := succeed(t, append(member, "--until-end")...)
		if first+rest != numbered(10) || strings.Count(first, "\n") != 4 {
			t.Errorf("the group got %q and then %q", first, rest)
		}
		if again := succeed(t, append(member, "--until-end")...); again != "" {
			t.Errorf("a third member got %q, which was committed", again)
		}
	})
}

func TestGroupsShowTheirLagAndAreReset(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		at := []string{"--server", address}
		publish(t, address, "jobs", numbered(10))
		succeed(t, "sub", "jobs", "--server", address, "--group", "g", "--from", "beginning", "--count", "4")
		if listed := succeed(t, append([]string{"groups"}, at...)...); !regexp.MustCompile(`(?m)^g +Empty +0 `).MatchString(listed) {
			t.Errorf("the list is\n%s", listed)
		}
		lag := func(committed, lag string) {
			t.Helper()
			described := succeed(t, append([]string{"groups", "describe", "g"}, at...)...)
			if !regexp.MustCompile(`(?m)^jobs +0 +` + committed + ` +10 +` + lag + ` `).MatchString(described) {
				t.Errorf("the description has no committed offset %s and lag %s:\n%s", committed, lag, described)
			}
		}
		lag("4", "6")
		reset := append([]string{"groups", "reset", "g"}, at...)
		code, plan, stderr := command(t, append(reset, "--to-earliest")...)
		if code != exitOK || !regexp.MustCompile(`(?m)^jobs +0 +4 +0 +10$`).MatchString(plan) || !strings.Contains(stderr, "add --yes") {
			t.Errorf("the dry run: exit code %d\n%s%s", code, plan, stderr)
		}
		lag("4", "6")
		succeed(t, append(reset, "--to-earliest", "--yes")...)
		lag("0", "10")
		succeed(t, append(reset, "--to-offset", "7", "--yes")...)
		lag("7", "3")
		succeed(t, append(reset, "--to-offset", "700", "--yes")...)
		lag("10", "0")
		succeed(t, append(reset, "--to-time", "-1h", "--yes")...)
		lag("0", "10")
		succeed(t, append(reset, "--to-latest", "--topic", "jobs", "--yes")...)
		lag("10", "0")
		if got := succeed(t, append([]string{"groups", "delete", "g"}, at...)...); got != "deleted g\n" {
			t.Errorf("delete printed %q", got)
		}
		if listed := succeed(t, append([]string{"groups"}, at...)...); listed != "" {
			t.Errorf("after the deletion the list is\n%s", listed)
		}
	})
}

func TestAGroupWithMembersIsNotReset(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		publish(t, address, "jobs", numbered(10))
		ctx, interrupt := context.WithCancel(context.Background())
		defer interrupt()
		var stdout, stderr output
		ended := make(chan int, 1)
		line := []string{"oneplusn", "sub", "jobs", "--server", address, "--group", "g", "--from", "beginning"}
		go func() { ended <- run(ctx, line, &stdout, &stderr) }()
		await(t, func() bool { return stdout.String() == numbered(10) })
		code, _, complaint := command(t, "groups", "reset", "g", "--to-earliest", "--yes", "--server", address)
		if code != exitError || !strings.Contains(complaint, "stop them first") {
			t.Errorf("resetting: exit code %d, said %q", code, complaint)
		}
		code, _, complaint = command(t, "groups", "delete", "g", "--server", address)
		if code != exitError || !strings.Contains(complaint, "stop them first") {
			t.Errorf("deleting: exit code %d, said %q", code, complaint)
		}
		described := succeed(t, "groups", "describe", "g", "--server", address)
		if !strings.HasPrefix(described, "group g: Stable, 1 member,") || !strings.Contains(described, " oneplusn ") {
			t.Errorf("the description is\n%s", described)
		}
		interrupt()
		if code := <-ended; code != exitOK {
			t.Errorf("the member ended with exit code %d: %s", code, stderr.String())
		}
	})
}

func TestGroupsThatAreMissingAreTold(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		publish(t, address, "jobs", "x\n")
		for _, line := range []string{"groups describe nobody", "groups delete nobody"} {
			code, _, stderr := command(t, append(strings.Fields(line), "--server", address)...)
			if code != exitError || !strings.Contains(stderr, "there is no such group") {
				t.Errorf("oneplusn %s: exit code %d, said %q", line, code, stderr)
			}
		}
		code, _, stderr := command(t, "groups", "reset", "nobody", "--to-latest", "--server", address)
		if code != exitError || !strings.Contains(stderr, "name the topics with --topic TOPIC") {
			t.Errorf("resetting a group that committed nothing: exit code %d, said %q", code, stderr)
		}
	})
}
