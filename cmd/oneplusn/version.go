package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is stamped by `make build` with -ldflags="-X main.version=…" from git describe.
var version = ""

// versionText is the output of --version: the version, the Go release and the platform.
func versionText() string {
	return fmt.Sprintf("%s (%s %s/%s)", versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionName falls back to the Go toolchain's build information without `make build`.
func versionName() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
