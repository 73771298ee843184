package tidy

import (
	"go/ast"
	"slices"
	"strings"
)

// hostFiles ask the host for the time, threads, random bytes and files. All other code of the server goes through them, or a simulation
// would leave something to chance. A path that ends with a slash is a directory; ring itself is one without those below it.
var hostFiles = []string{
	"fanout/loop/machine.go", "fanout/this_machine.go", "fanout/conn/bind.go", "fanout/process.go", "fanout/admin/",
	"segment/fs.go", "segment/lock.go", "segment/resident.go", "segment/options.go", "segment/cachestat/", "ring/probe/",
}

// hostCalls depend on the host, by package. A package without names is one in which all functions do but those of pureCalls.
var hostCalls = map[string][]string{
	"time":    {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"},
	"net":     {"Listen", "ListenTCP", "Dial", "DialTimeout", "LookupHost", "LookupIP", "InterfaceAddrs", "Interfaces"},
	"runtime": {"GOMAXPROCS", "NumCPU", "NumGoroutine", "Gosched", "ReadMemStats"},
	"os": {"Open", "OpenFile", "Create", "CreateTemp", "ReadFile", "ReadDir", "ReadLink", "WriteFile", "Mkdir", "MkdirAll", "MkdirTemp",
		"Rename", "Remove", "RemoveAll", "Stat", "Lstat", "Truncate", "Link", "Symlink", "Getpid", "Getenv", "LookupEnv", "Hostname", "Environ"},
	"unix":    nil,
	"syscall": nil,
}

// pureCalls of the packages of system calls compute something.
var pureCalls = []string{"Errno", "Getpagesize", "Major", "Minor", "ByteSliceToString"}

// behindHooks keeps chance out of what a simulation runs: see [hostFiles].
func behindHooks(s *source) (found []Finding) {
	const instead = "take it from loop.Machine, fanout.Machine, segment.FS or ring.Kernel, so that a simulation decides it"
	if !library(s) || strings.HasPrefix(s.path, "ring/") && strings.Count(s.path, "/") == 1 || slices.ContainsFunc(hostFiles, func(host string) bool {
		return s.path == host || strings.HasSuffix(host, "/") && strings.HasPrefix(s.path, host)
	}) {
		return nil
	}
	for call := range nodes[*ast.CallExpr](s.file) {
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" && len(call.Args) == 1 {
			found = append(found, s.finding(sel.Pos(), "a goroutine is started here: %s", instead))
		}
	}
	for sel := range nodes[*ast.SelectorExpr](s.file) {
		pkg, ok := sel.X.(*ast.Ident)
		if !ok || pkg.Obj != nil {
			continue
		}
		names, asks := hostCalls[pkg.Name]
		if asks && (slices.Contains(names, sel.Sel.Name) || names == nil && isCalled(s, sel) && !slices.Contains(pureCalls, sel.Sel.Name)) {
			found = append(found, s.finding(sel.Pos(), "%s.%s asks the host: %s", pkg.Name, sel.Sel.Name, instead))
		}
	}
	for start := range nodes[*ast.GoStmt](s.file) {
		found = append(found, s.finding(start.Pos(), "a goroutine is started here: %s", instead))
	}
	for _, spec := range s.file.Imports {
		random := spec.Path.Value == `"math/rand/v2"` && !s.within("ring/sim", "fanout/scenario")
		if random || spec.Path.Value == `"crypto/rand"` {
			found = append(found, s.finding(spec.Pos(), "%s is not imported here: %s", spec.Path.Value, instead))
		}
	}
	return found
}

// isCalled says that a selector is what a call calls.
func isCalled(s *source, sel *ast.SelectorExpr) bool {
	for call := range nodes[*ast.CallExpr](s.file) {
		if call.Fun == ast.Expr(sel) {
			return true
		}
	}
	return false
}
