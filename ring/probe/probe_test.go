package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// judged is one row of a table: the input of a check, and its expected result.
type judged struct {
	name  string
	check Check
	ok    bool
	fatal bool
	// says is part of found, cause or remedy, "" if the check is passed and nothing is to be said.
	says string
}

func checkAll(t *testing.T, rows []judged) {
	t.Helper()
	for _, row := range rows {
		c := row.check
		text := c.Found + "; " + c.Cause + "; " + c.Remedy
		if c.OK != row.ok || !c.OK && c.Fatal != row.fatal || !strings.Contains(text, row.says) {
			t.Errorf("%s: %+v, want ok %v, fatal %v, and %q", row.name, c, row.ok, row.fatal, row.says)
		}
		if c.Name == "" || c.Need == "" || c.Found == "" {
			t.Errorf("%s: a field is empty: %+v", row.name, c)
		}
		if c.OK && (c.Cause != "" || c.Remedy != "") {
			t.Errorf("%s: passed, and yet there is a cause or a remedy: %+v", row.name, c)
		}
		if !c.OK && (c.Cause == "" || c.Remedy == "") {
			t.Errorf("%s: failed without a cause or a remedy: %+v", row.name, c)
		}
	}
}

func TestKernelVersionsAreCompared(t *testing.T) {
	var rows []judged
	for release, ok := range map[string]bool{
		"6.1.0": true, "6.18.44-generic": true, "7.0": true, "10.2.3": true, "6.1": true,
		"6.0.19": false, "5.15.0-91-generic": false, "4.19": false, "unknown": true, "": true,
	} {
		says := ""
		if !ok {
			says = "Linux 6.1 or later"
		}
		rows = append(rows, judged{release, classifyKernel(release), ok, true, says})
	}
	checkAll(t, rows)
}

func TestEachReasonAgainstIoUringHasItsOwnRemedy(t *testing.T) {
	checkAll(t, []judged{
		{"allowed", classifySetup(0, 0), true, true, ""},
		{"ENOSYS", classifySetup(unix.ENOSYS, -1), false, true, "CONFIG_IO_URING"},
		{"EPERM by sysctl 2", classifySetup(unix.EPERM, 2), false, true, "sysctl -w kernel.io_uring_disabled=0"},
		{"EPERM by sysctl 1", classifySetup(unix.EPERM, 1), false, true, "kernel.io_uring_group"},
		{"EPERM by seccomp", classifySetup(unix.EPERM, 0), false, true, "seccomp"},
		{"EPERM before 6.6", classifySetup(unix.EPERM, -1), false, true, "seccomp"},
		{"EACCES", classifySetup(unix.EACCES, 0), false, true, "seccomp"},
		{"ENOMEM", classifySetup(unix.ENOMEM, 0), false, true, "ulimit -l"},
		{"EMFILE", classifySetup(unix.EMFILE, 0), false, true, "ulimit -n"},
		{"ENFILE", classifySetup(unix.ENFILE, 0), false, true, "ulimit -n"},
		{"EINVAL", classifySetup(unix.EINVAL, 0), false, true, "invalid argument"},
		{"EFAULT", classifySetup(unix.EFAULT, 0), false, true, "EFAULT"},
	})
}

func TestMissingOpcodesAreNamed(t *testing.T) {
	all := make(map[uint8]bool)
	for _, op := range neededOpcodes() {
		all[op.number] = true
	}
	rows := []judged{
		{"all", classifyOpcodes(all, 0), true, true, ""},
		{"no probe", classifyOpcodes(nil, unix.EPERM), false, true, "io_uring_register"},
		{"none", classifyOpcodes(map[uint8]bool{}, 0), false, true, "missing RECV SEND"},
	}
	for _, op := range neededOpcodes() {
		but := make(map[uint8]bool)
		for n := range all {
			but[n] = n != op.number
		}
		rows = append(rows, judged{"without " + op.name, classifyOpcodes(but, 0), false, true, "missing " + op.name})
	}
	checkAll(t, rows)
}

func TestRefusedSetupsAndCapsAreFatal(t *testing.T) {
	checkAll(t, []judged{
		{"flags", classifySetupFlags(0), true, true, ""},
		{"flags refused", classifySetupFlags(unix.EINVAL), false, true, "EINVAL"},
		{"cap", classifyWorkers(4, 4, 0), true, true, ""},
		{"cap refused", classifyWorkers(4, 0, unix.EINVAL), false, true, "5.15"},
		{"another cap", classifyWorkers(4, 3, 0), false, true, "RLIMIT_NPROC"},
		{"buffer ring", classifyBufferRing(0), true, true, ""},
		{"buffer ring refused", classifyBufferRing(unix.EINVAL), false, true, "6.1"},
		{"buffer ring without memory", classifyBufferRing(unix.ENOMEM), false, true, "ulimit -l"},
	})
}

func TestMissingCachestatCostsSpeedOnly(t *testing.T) {
	checkAll(t, []judged{
		{"there", classifyCachestat(unix.EBADF), true, false, ""},
		{"before 6.5", classifyCachestat(unix.ENOSYS), false, false, "6.5"},
		{"seccomp", classifyCachestat(unix.EPERM), false, false, "451"},
		{"security module", classifyCachestat(unix.EACCES), false, false, "seccomp"},
	})
}

func TestPipeLimitsAreCompared(t *testing.T) {
	checkAll(t, []judged{
		{"size", classifyPipeSize(1 << 20), true, false, ""},
		{"larger than asked", classifyPipeSize(2 << 20), true, false, ""},
		{"smaller than asked", classifyPipeSize(64 << 10), false, false, "fs.pipe-max-size=1048576"},
		{"none", classifyPipeSize(0), false, true, "ulimit -n"},
		{"pool", classifyPipePool(4096, 16384, true), true, false, "16384 pages"},
		{"pool a page short", classifyPipePool(4096, 16383, true), false, false, "fs.pipe-user-pages-soft=16384"},
		{"pool of a privileged user", classifyPipePool(4096, 1, false), true, false, "not limited"},
		{"pool without a limit", classifyPipePool(4096, 0, true), true, false, "not limited"},
		{"pool of large pages", classifyPipePool(65536, 1024, true), true, false, "1024 pages"},
	})
}

func TestProcessLimitsAreCompared(t *testing.T) {
	const files = 1000 + 2*64 + ownDescriptors
	const threads = 4 + ring.MinBoundedWorkers + ownDescriptors
	limit := func(soft, hard uint64) unix.Rlimit { return unix.Rlimit{Cur: soft, Max: hard} }
	checkAll(t, []judged{
		{"threads", classifyProcesses(limit(threads, threads), false), true, false, ""},
		{"a thread short", classifyProcesses(limit(threads-1, threads), false), false, false, "ulimit -u"},
		{"threads of a privileged user", classifyProcesses(limit(1, 1), true), true, false, ""},
		{"threads without a limit", classifyProcesses(limit(unix.RLIM_INFINITY, unix.RLIM_INFINITY), false), true, false, "unlimited"},
		{"files", classifyFiles(1000, limit(files, files)), true, false, "room for 1000 subscribers"},
		{"soft limit", classifyFiles(1000, limit(10, files)), true, false, "(soft 10)"},
		{"a file short", classifyFiles(1000, limit(files, files-1)), false, false, fmt.Sprintf("LimitNOFILE=%d", files)},
		{"next to no files", classifyFiles(1000, limit(10, 10)), false, false, "room for 0 subscribers"},
		{"files without a limit", classifyFiles(1000, limit(unix.RLIM_INFINITY, unix.RLIM_INFINITY)), true, false, "unlimited"},
		{"memlock", classifyMemlock(limit(65536, 65536)), true, false, "65536 bytes"},
		{"no memlock", classifyMemlock(limit(unix.RLIM_INFINITY, unix.RLIM_INFINITY)), true, false, "unlimited"},
	})
}

func TestNetworkLimitsAreCompared(t *testing.T) {
	checkAll(t, []judged{
		{"buffers", classifyTCPBuffer("tcp_wmem", "4096\t16384\t4194304\n"), true, false, "4096 16384 4194304"},
		{"just large enough", classifyTCPBuffer("tcp_rmem", "1 2 1048576"), true, false, ""},
		{"small buffers", classifyTCPBuffer("tcp_wmem", "4096 16384 1048575"), false, false, "sysctl -w net.ipv4.tcp_wmem='4096 131072 4194304'"},
		{"no numbers", classifyTCPBuffer("tcp_wmem", "a b c"), false, false, "net.ipv4.tcp_wmem"},
		{"two numbers", classifyTCPBuffer("tcp_wmem", "1 2"), false, false, "net.ipv4.tcp_wmem"},
		{"backlog", classifyBacklog(1024), true, false, ""},
		{"small backlog", classifyBacklog(128), false, false, "net.core.somaxconn=1024"},
	})
}

func TestDataDirectoriesAreJudged(t *testing.T) {
	rows := []judged{
		{"ext4", classifyDataDir("/d", true, true, unix.EXT4_SUPER_MAGIC), true, true, "ext4 at /d"},
		{"xfs", classifyDataDir("/d", true, true, unix.XFS_SUPER_MAGIC), true, true, "xfs"},
		{"an unknown file system", classifyDataDir("/d", true, true, 0x1234), true, true, "0x1234"},
		{"a file", classifyDataDir("/d", false, true, unix.EXT4_SUPER_MAGIC), false, true, "not a directory"},
		{"read-only", classifyDataDir("/d", true, false, unix.EXT4_SUPER_MAGIC), false, true, "chown"},
	}
	for magic, says := range map[int64]string{
		unix.OVERLAYFS_SUPER_MAGIC: "container", unix.TMPFS_MAGIC: "reboot", unix.NFS_SUPER_MAGIC: "another host",
		unix.FUSE_SUPER_MAGIC: "fuse", unix.V9FS_MAGIC: "9p", unix.SMB2_SUPER_MAGIC: "smb",
	} {
		rows = append(rows, judged{says, classifyDataDir("/d", true, true, magic), false, false, says})
	}
	checkAll(t, rows)
}

// A directory that is not there yet is judged by the one that it will be made in.
func TestDataDirectoryThatIsNotThereIsJudgedByItsParent(t *testing.T) {
	parent := t.TempDir()
	if c := probeDataDir(filepath.Join(parent, "a", "b", "c")); !strings.HasSuffix(c.Found, " at "+parent) || c.Fatal && !c.OK {
		t.Errorf("%+v, want %s to be looked at", c, parent)
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if c := probeDataDir(dir); c.OK || !c.Fatal {
			t.Errorf("%s: %+v, want a fatal failure", dir, c)
		}
	}
}

func TestReportNamesEveryFatalFailureAndNoOther(t *testing.T) {
	report := Report{Checks: []Check{
		{Name: "good", OK: true, Fatal: true}, {Name: "slow", Cause: "slow-cause"},
		{Name: "first", Found: "a", Need: "b", Fatal: true, Cause: "cause-1", Remedy: "remedy-1"},
		{Name: "second", Fatal: true, Cause: "cause-2", Remedy: "remedy-2"},
	}}
	err := report.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range []string{"first: found a, need b: cause-1: remedy-1", "cause-2: remedy-2"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	if strings.Contains(err.Error(), "slow") || strings.Contains(err.Error(), "good") {
		t.Errorf("%v names what is not fatal", err)
	}
	if (Report{Checks: report.Checks[:2]}).Err() != nil {
		t.Error("a report without a fatal failure is an error")
	}
	if _, ok := report.Check("missing"); ok {
		t.Error("there is a check that nobody made")
	}
}

// The probe leaves nothing open, and finds that the ring that these tests make can be made.
func TestProbeFindsWhatThisHostHasAndLeavesNothing(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := descriptors()
	report := Run(t.TempDir(), 1000)
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"kernel", "io_uring_setup", "opcodes", "setup flags", "buffer ring", "worker cap", "pipe size",
		"pipe pages", "threads", "file descriptors", "locked memory", "cachestat", "data directory"} {
		if _, ok := report.Check(name); !ok {
			t.Errorf("%s was not looked at", name)
		}
	}
}
