package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// commandHelp is the template of a command's help. Unlike the library's own it keeps the flags in the order of the code, by
// importance, and puts a heading before each category.
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

// The library has no other way to set these for every command.
func init() {
	cli.CommandHelpTemplate = commandHelp
	cli.SubcommandHelpTemplate = commandHelp
	cli.FlagStringer = flagHelp
}

// The widths of the two columns of a flag's help, after an indent of three: its name, and its meaning.
const (
	flagNameColumn = 28
	flagTextColumn = 80
)

// flagHelp is the help of one flag: name and placeholder, and wrapped beside them its meaning, default and environment
// variable. A default in the usage's own words replaces the value.
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

// placeholderOf is the text between the first two back quotes of a usage, and the usage without them.
func placeholderOf(usage string) (placeholder, text string) {
	before, rest, _ := strings.Cut(usage, "`")
	placeholder, after, ok := strings.Cut(rest, "`")
	if !ok {
		return "VALUE", usage
	}
	return placeholder, before + placeholder + after
}

// defaultText is the default as a user would type it: a duration without units that are 0, nothing for a switch that is off.
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

// shortDuration drops the units at the end of a duration that are 0: 168h, not 168h0m0s.
func shortDuration(text string) string {
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// wrapText breaks a text between words into lines of at most width bytes; a longer word gets a line of its own.
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
