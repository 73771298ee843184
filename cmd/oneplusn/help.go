package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// commandHelp is the help of a command, in the library's template language. Unlike the library's own it leaves the flags
// in the order in which they are written, which is by importance, and puts a heading where a new category begins.
const commandHelp = `NAME:
   {{template "helpNameTemplate" .}}

USAGE:
   {{template "usageTemplate" .}}{{if .Description}}

DESCRIPTION:
   {{template "descriptionTemplate" .}}{{end}}{{if .VisibleCommands}}

COMMANDS:{{template "visibleCommandCategoryTemplate" .}}{{end}}{{$heading := ""}}{{range .VisibleFlags}}{{$category := or .GetCategory $heading "OPTIONS"}}{{if ne $category $heading}}{{$heading = $category}}

{{$heading}}:{{end}}
   {{.String}}{{end}}
`

// The library has these as variables, and no other way to set them for every command.
func init() {
	cli.CommandHelpTemplate = commandHelp
	cli.SubcommandHelpTemplate = commandHelp
	cli.FlagStringer = flagHelp
}

// The columns of a line of help about a flag, which is behind an indent of three: its name, and what it means.
const (
	flagNameColumn = 28
	flagTextColumn = 80
)

// flagHelp is what --help says about a flag: name and placeholder, and wrapped beside them what it means, its default
// and its environment variable. A usage that says itself what the default is means more than the value that stands for it.
func flagHelp(f cli.Flag) string {
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	placeholder, usage := placeholderOf(doc.GetUsage())
	names := make([]string, len(f.Names()))
	for i, name := range f.Names() {
		names[i] = dashes(name)
	}
	name := strings.Join(names, ", ")
	if doc.TakesValue() {
		name += " " + placeholder
	}
	if byDefault := defaultText(doc); byDefault != "" && !strings.Contains(usage, "(default: ") {
		usage += " (default: " + byDefault + ")"
	}
	for _, variable := range doc.GetEnvVars() {
		usage += " [$" + variable + "]"
	}
	lines := wrapText(usage, flagTextColumn)
	if len(name) > flagNameColumn-2 {
		lines = append([]string{""}, lines...)
	}
	indent := "\n" + strings.Repeat(" ", 3+flagNameColumn)
	return strings.TrimRight(name+strings.Repeat(" ", max(flagNameColumn-len(name), 0))+lines[0], " ") +
		strings.Join(append([]string{""}, lines[1:]...), indent)
}

func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// placeholderOf is what is between the first two back quotes of a usage, and the usage without them.
func placeholderOf(usage string) (placeholder, text string) {
	before, rest, _ := strings.Cut(usage, "`")
	placeholder, after, ok := strings.Cut(rest, "`")
	if !ok {
		return "VALUE", usage
	}
	return placeholder, before + placeholder + after
}

// defaultText is the default as it would be typed: a duration without the units that are 0, and nothing for what is off.
func defaultText(f cli.DocGenerationFlag) string {
	text := strings.Trim(f.GetDefaultText(), `"`)
	switch f.(type) {
	case *cli.BoolFlag:
		return strings.TrimPrefix(text, "false")
	case *cli.DurationFlag:
		return shortDuration(text)
	}
	return text
}

// shortDuration is a duration as [time.Duration] writes it without the units at its end that are 0: 168h and not 168h0m0s.
func shortDuration(text string) string {
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// wrapText breaks a text between words into lines of at most width bytes, as far as its words allow.
func wrapText(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
