package main

import (
	"fmt"
	"io"
	"strings"
)

// maxSaid is how much of a message a table shows.
const maxSaid = 160

func (v *verdict) String() string {
	return fmt.Sprintf("%-40s %-10s seed %-5s at %-12s in %-5v %s", v.name, v.outcome, orDash(v.seed), orDash(v.at), v.took, short(v.said))
}

// printText ends a run: what is not caught once more, and the count. It says whether all were caught.
func printText(w io.Writer, all []*verdict) bool {
	caught := 0
	for _, v := range all {
		if v.caught() {
			caught++
			continue
		}
		fmt.Fprintf(w, "%s: %s: %s\n", v.name, v.outcome, v.breaks)
	}
	fmt.Fprintf(w, "mutants: %d of %d bugs are found\n", caught, len(all))
	return caught == len(all)
}

// printMarkdown is the table for docs/simulation.md.
func printMarkdown(w io.Writer, all []*verdict) bool {
	ok := true
	fmt.Fprintf(w, "| bug | what it breaks | seed | after | what the simulation says |\n|---|---|---|---|---|\n")
	for _, v := range all {
		ok = ok && v.caught()
		said := short(v.said)
		if v.outcome != found {
			said = strings.TrimSpace(string(v.outcome) + " " + said)
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", v.name, cell(v.breaks), orDash(v.seed), orDash(v.at), cell(said))
	}
	return ok
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func short(s string) string {
	if r := []rune(s); len(r) > maxSaid {
		return string(r[:maxSaid]) + "..."
	}
	return s
}
