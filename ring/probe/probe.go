// Package probe asks a host what it allows the server: the questions of `oneplusn doctor`. No loop needs it.
//
// It talks to the kernel directly and not through a [ring.Ring]: it must work, and tell the errors apart, where no ring can
// be made. Each check is a question to the kernel and a classify function, which turns the answer into a [Check] with cause
// and remedy; the tests put every answer to the latter.
package probe

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The server's defaults, to be compared with the host's limits.
const (
	workers   = 4 // the cap on the ring's workers
	pipes     = 64
	pipeBytes = 1 << 20
)

// Check is one requirement or recommendation of the server for its host.
type Check struct {
	// Name says what was looked at, in the kernel's own words where it has some: "kernel", "io_uring_setup".
	Name string `json:"name"`
	// Found is the host's value, Need the one that it was compared with.
	Found string `json:"found"`
	Need  string `json:"need"`
	// OK says that the need is met. Where it is not, Cause says why and Remedy what to change.
	OK bool `json:"ok"`
	// Fatal says that the server can't run without it. A failed check that isn't fatal costs speed or capacity.
	Fatal  bool   `json:"fatal"`
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// because is the check with its cause and remedy, if it failed.
func (c Check) because(cause, remedy string) Check {
	if !c.OK {
		c.Cause, c.Remedy = cause, remedy
	}
	return c
}

// refused fails a check by a system call's error.
func (c *Check) refused(errno syscall.Errno, what, remedy string) {
	c.Found, c.Cause, c.Remedy = unix.ErrnoName(errno), what+": "+errno.Error(), remedy
}

// Report is the result of [Run].
type Report struct {
	Checks []Check `json:"checks"`
}

// Err is nil if the server can run on this host, and otherwise names every fatal check with its cause and remedy.
func (r Report) Err() error {
	var failed []string
	for _, c := range r.Checks {
		if c.Fatal && !c.OK {
			failed = append(failed, fmt.Sprintf("%s: found %s, need %s: %s: %s", c.Name, c.Found, c.Need, c.Cause, c.Remedy))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("ring: the server can't run here: %s", strings.Join(failed, "; "))
}

// Check is the check of that name, and whether there is one.
func (r Report) Check(name string) (Check, bool) {
	i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		return Check{}, false
	}
	return r.Checks[i], true
}

// Run asks the host what it allows. It makes a small ring, a pipe and a few descriptors of its own and closes them
// before it returns. It changes nothing.
//
// dataDir is the directory of the segments; "" leaves the file system out. It need not exist: then the nearest directory
// above it that does is looked at.
// subscribers is the number of connections that have to fit.
func Run(dataDir string, subscribers int) Report {
	var r Report
	add := func(checks ...Check) { r.Checks = append(r.Checks, checks...) }

	add(classifyKernel(kernelRelease()))
	add(probeRing()...)
	privileged := effectiveCapability(unix.CAP_SYS_ADMIN) || effectiveCapability(unix.CAP_SYS_RESOURCE)
	add(probePipes(privileged)...)
	add(probeLimits(subscribers, privileged)...)
	add(probeCachestat())
	if dataDir != "" {
		add(probeDataDir(dataDir))
	}
	return r
}

// probeRing makes a ring and asks it for its opcodes, its flags and its worker cap. Without a ring there is only the
// one failed check: the others could say nothing of their own.
func probeRing() []Check {
	runtime.LockOSThread() // the kernel keeps the cap on workers for each task
	defer runtime.UnlockOSThread()
	fd, errno := setupRing(0)
	made := classifySetup(errno, uringDisabledSysctl())
	if errno != 0 {
		return []Check{made}
	}
	supported, opcodeErrno := supportedOpcodes(fd)
	checks := []Check{made, classifyOpcodes(supported, opcodeErrno), probeSetupFlags(), probeBufferRing(fd)}
	set, capErrno := capWorkers(fd)
	_ = unix.Close(fd)
	return append(checks, classifyWorkers(workers, set, capErrno))
}

// oldestMajor and oldestMinor are the first kernel with IORING_SETUP_DEFER_TASKRUN, the youngest thing that the ring
// can't do without.
const (
	oldestMajor = 6
	oldestMinor = 1
)

func classifyKernel(release string) Check {
	c := Check{Name: "kernel", Found: release, Need: fmt.Sprintf("%d.%d or later", oldestMajor, oldestMinor), Fatal: true}
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n != 2 {
		// Opcodes and flags are asked for one by one below, so a strange name decides nothing.
		c.OK, c.Found = true, fmt.Sprintf("%q, which names no version", release)
		return c
	}
	c.OK = major > oldestMajor || major == oldestMajor && minor >= oldestMinor
	return c.because("this kernel is older than IORING_SETUP_DEFER_TASKRUN",
		"boot Linux 6.1 or later (Debian 12, Ubuntu 24.04 and RHEL 10 have it)")
}

// classifySetup tells the reasons apart for which io_uring_setup(2) fails. disabled is kernel.io_uring_disabled, or -1
// where this kernel has no such setting (before 6.6).
func classifySetup(errno syscall.Errno, disabled int) Check {
	c := Check{Name: "io_uring_setup", Found: "allowed", Need: "allowed", OK: errno == 0, Fatal: true}
	if errno == 0 {
		return c
	}
	c.Found = unix.ErrnoName(errno)
	switch {
	case errno == unix.ENOSYS:
		c.Cause = "this kernel is built without CONFIG_IO_URING, or a sandbox hides it"
		c.Remedy = "boot a distribution kernel of Linux 6.1 or later; gVisor and some sandboxes have no io_uring at all"
	case errno == unix.EPERM && disabled == 2:
		c.Cause = "sysctl kernel.io_uring_disabled is 2: nobody may use io_uring"
		c.Remedy = "sysctl -w kernel.io_uring_disabled=0"
	case errno == unix.EPERM && disabled == 1:
		c.Cause = "sysctl kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and members of kernel.io_uring_group may"
		c.Remedy = "sysctl -w kernel.io_uring_disabled=0, or put this user's group id into kernel.io_uring_group"
	case errno == unix.EPERM || errno == unix.EACCES:
		c.Cause = "a seccomp filter or a security module forbids it; Docker's and containerd's default profiles do since 2023"
		c.Remedy = "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile " +
			"(docker run --security-opt seccomp=FILE), or run outside the container"
	case errno == unix.ENOMEM:
		c.Cause = "the kernel has no memory for a ring, or RLIMIT_MEMLOCK is used up"
		c.Remedy = "raise the memory limit of this cgroup, or ulimit -l"
	case errno == unix.EMFILE || errno == unix.ENFILE:
		c.Cause = "there are no file descriptors left"
		c.Remedy = "raise ulimit -n"
	default:
		c.Cause = "io_uring_setup(2): " + errno.Error()
		c.Remedy = "look the error up in io_uring_setup(2)"
	}
	return c
}

// classifyOpcodes compares what the kernel's probe lists with what the loop submits.
func classifyOpcodes(supported map[uint8]bool, errno syscall.Errno) Check {
	needed := neededOpcodes()
	names := make([]string, len(needed))
	var missing []string
	for i, op := range needed {
		names[i] = op.name
		if !supported[op.number] {
			missing = append(missing, op.name)
		}
	}
	c := Check{Name: "opcodes", Need: strings.Join(names, " "), Fatal: true}
	switch {
	case errno != 0:
		c.refused(errno, "IORING_REGISTER_PROBE", "allow io_uring_register in the seccomp profile, or boot Linux 6.1 or later")
	case len(missing) > 0:
		c.Found = "missing " + strings.Join(missing, " ")
		c.Cause = "this kernel does not have these io_uring operations"
		c.Remedy = "boot Linux 6.1 or later"
	default:
		c.Found, c.OK = fmt.Sprintf("all %d", len(names)), true
	}
	return c
}

// classifySetupFlags is given the result of a setup with the flags that the loop uses.
func classifySetupFlags(errno syscall.Errno) Check {
	c := Check{Name: "setup flags", Found: "accepted", Need: "SINGLE_ISSUER DEFER_TASKRUN SUBMIT_ALL CQSIZE",
		OK: errno == 0, Fatal: true}
	if errno != 0 {
		c.refused(errno, "io_uring_setup(2) refuses the flags", "boot Linux 6.1 or later")
	}
	return c
}

// classifyWorkers is given the cap on unbounded workers that was asked for and what the kernel says is set.
func classifyWorkers(want, set int, errno syscall.Errno) Check {
	c := Check{Name: "worker cap", Found: fmt.Sprintf("%d set", set), Need: fmt.Sprintf("%d set and read back", want),
		OK: errno == 0 && want == set, Fatal: true}
	switch {
	case errno != 0:
		c.refused(errno, "IORING_REGISTER_IOWQ_MAX_WORKERS",
			"boot Linux 5.15 or later; without the cap every splice that waits starts a kernel thread")
	case want != set:
		c.Cause = "the kernel took another number, RLIMIT_NPROC bounds it"
		c.Remedy = "raise ulimit -u, or lower --io-workers"
	}
	return c
}
