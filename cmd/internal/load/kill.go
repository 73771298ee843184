package load

// Kill ends a child by SIGKILL, as the kernel would when memory runs out, and waits until it is gone.
func (s *Server) Kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

// Said is the end of what a child wrote to its standard error; empty if it wrote nothing.
func (s *Server) Said() string { return s.stderr.said() }
