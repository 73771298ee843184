package peer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Nginx is an nginx that serves one file by sendfile: the yardstick for moving a file to many sockets.
type Nginx struct {
	Address string
	command *exec.Cmd
	dir     string
}

// nginxConfig is a plain configuration of a static file server. It has one worker process, because our server has one loop.
// sendfile_max_chunk is nginx's default.
const nginxConfig = `daemon off; worker_processes 1; error_log stderr error; pid %[1]s/pid;
events { worker_connections 16384; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600; keepalive_requests 1000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s backlog=4096; location / { root %[3]s; } }
}
`

// StartNginx serves the files of a directory. binary is a path, or "auto" for the one in PATH.
func StartNginx(binary, root string) (*Nginx, error) {
	if binary == "auto" {
		binary = "nginx"
	}
	path, err := exec.LookPath(binary)
	if err != nil {
		return nil, fmt.Errorf("peer: %w: install nginx (Debian: nginx-light), or name it with --nginx PATH", err)
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "oneplusn-nginx-")
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	n := &Nginx{Address: address, dir: dir}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, dir, address, root)
	if unix.Geteuid() == 0 {
		text = "user root;\n" + text // other users may not read the data directory
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	n.command = exec.Command(path, "-c", config, "-p", dir)
	said := new(tail)
	n.command.Stderr = said
	n.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := n.command.Start(); err != nil {
		return nil, fmt.Errorf("peer: starting nginx: %w", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return n, nil
		}
		if time.Now().After(deadline) {
			n.Stop()
			return nil, fmt.Errorf("peer: nginx does not answer: %w%s", err, said.said())
		}
	}
}

// FreeAddress is an address of this host that nothing listens on at the moment.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("peer: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// Stats has the CPU time of nginx's processes.
func (n *Nginx) Stats() (Stats, error) {
	pid := n.command.Process.Pid
	total, err := processStats(pid)
	if err != nil {
		return Stats{}, err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return Stats{}, fmt.Errorf("peer: nginx's worker: %w", err)
	}
	for _, field := range strings.Fields(string(children)) {
		child, _ := strconv.Atoi(field)
		s, err := processStats(child)
		if err != nil {
			return Stats{}, err
		}
		total.CPUUserSeconds += s.CPUUserSeconds
		total.CPUSystemSeconds += s.CPUSystemSeconds
	}
	return total, nil
}

// Stop ends nginx.
func (n *Nginx) Stop() {
	_ = n.command.Process.Signal(syscall.SIGTERM)
	_ = n.command.Wait()
	_ = os.RemoveAll(n.dir)
}
