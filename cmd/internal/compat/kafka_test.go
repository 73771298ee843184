//go:build compat

package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What comes from Maven: the broker, and the command-line tools, of which an older version is the newest and which want
// libraries of that same version.
var artifacts = map[string][]string{
	"broker": {"org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36"},
	"tools":  {"org.apache.kafka:kafka-tools:4.3.1", "org.slf4j:slf4j-simple:1.7.36"},
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>oneplusn</groupId><artifactId>compat</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>%s</dependencies>
</project>
`

const (
	fetchTimeout = 10 * time.Minute // of Maven, over a slow line
	toolTimeout  = 3 * time.Minute  // of one of Kafka's tools
	readyTimeout = time.Minute      // of a broker's start, and its stop
)

// kafkaLibs is the directory of Kafka's jars, which are fetched if they are not there.
func kafkaLibs(t *testing.T) string {
	t.Helper()
	home := os.Getenv("ONEPLUSN_KAFKA_LIBS")
	if home == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		home = filepath.Join(cache, "oneplusn", "kafka-4.4.0")
	}
	for name, list := range artifacts {
		fetch(t, filepath.Join(home, name), list)
	}
	return home
}

func fetch(t *testing.T, dir string, list []string) {
	t.Helper()
	whole := filepath.Join(dir, "whole")
	if _, err := os.Stat(whole); err == nil {
		return
	}
	var dependencies strings.Builder
	for _, artifact := range list {
		parts := strings.Split(artifact, ":")
		fmt.Fprintf(&dependencies, "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>",
			parts[0], parts[1], parts[2])
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "pom.xml"), fmt.Appendf(nil, pom, &dependencies), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Logf("fetching %s by Maven into %s, once", list[0], dir)
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	maven := exec.CommandContext(ctx, "mvn", "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=.")
	maven.Dir = dir
	if out, err := maven.CombinedOutput(); err != nil {
		t.Fatalf("mvn: %v (a JDK and Maven have to be installed): %s", err, out)
	}
	if err := os.WriteFile(whole, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// java is one of Kafka's classes, not yet started.
func java(ctx context.Context, libs, class string, args ...string) *exec.Cmd {
	jars := "broker"
	if strings.HasPrefix(class, "org.apache.kafka.tools.") {
		jars = "tools"
	}
	all := append([]string{"-Xmx512m", "-cp", filepath.Join(libs, jars, "*"), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", class}, args...)
	command := exec.CommandContext(ctx, "java", all...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// tool runs one of Kafka's tools and returns what it printed. in is its standard input.
func tool(t *testing.T, libs, in, class string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	defer cancel()
	command := java(ctx, libs, class, args...)
	var out, errs bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(in), &out, &errs
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", class, strings.Join(args, " "), err, tail(errs.String()), tail(out.String()))
	}
	return out.String()
}

func tail(s string) string { return s[max(0, len(s)-4096):] }

// kafka is a real broker.
type kafka struct {
	t       *testing.T
	libs    string
	dir     string // of its logs
	address string
	file    string // of its properties
	command *exec.Cmd
	said    bytes.Buffer
}

// startKafka formats a directory and starts a single node on it.
func startKafka(t *testing.T, libs string, settings ...string) *kafka {
	t.Helper()
	k := &kafka{t: t, libs: libs, dir: filepath.Join(t.TempDir(), "kafka")}
	clients, controller := freePort(t), freePort(t)
	k.address = "127.0.0.1:" + clients
	lines := append([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@127.0.0.1:" + controller,
		"listeners=PLAINTEXT://" + k.address + ",CONTROLLER://127.0.0.1:" + controller,
		"advertised.listeners=PLAINTEXT://" + k.address,
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs=" + k.dir,
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"transaction.state.log.num.partitions=1",
		"group.initial.rebalance.delay.ms=0",
	}, settings...)
	k.file = filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(k.file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(tool(t, libs, "", "kafka.tools.StorageTool", "random-uuid"))
	tool(t, libs, "", "kafka.tools.StorageTool", "format", "-t", id, "-c", k.file)
	k.start()
	t.Cleanup(k.stop)
	return k
}

func (k *kafka) start() {
	k.t.Helper()
	k.command = java(context.Background(), k.libs, "kafka.Kafka", k.file)
	k.command.Stdout, k.command.Stderr = &k.said, &k.said
	if err := k.command.Start(); err != nil {
		k.t.Fatal(err)
	}
	for deadline := time.Now().Add(readyTimeout); ; {
		if c, err := net.Dial("tcp", k.address); err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			k.stop()
			k.t.Fatalf("Kafka is not ready after %v: %s", readyTimeout, tail(k.said.String()))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// stop ends the broker cleanly.
func (k *kafka) stop() {
	if k.command == nil {
		return
	}
	_ = k.command.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- k.command.Wait() }()
	select {
	case <-ended: // a JVM that a signal ended says 143, however well it went
	case <-time.After(readyTimeout):
		_ = k.command.Process.Kill()
		<-ended
		k.t.Errorf("Kafka did not stop within %v: %s", readyTimeout, tail(k.said.String()))
	}
	k.command = nil
}

// freePort was free a moment ago: Kafka has no way to say which one it took.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}
