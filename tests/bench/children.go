package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// child is this program again, in a process of its own so that nothing it does is charged to the others.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

func startChild(ctx context.Context, role string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, role) //nolint:gosec // this very program
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &child{cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}, cmd.Start()
}

// stop closes the child's stdin, which ends it.
func (c *child) stop() error {
	return errors.Join(c.stdin.Close(), c.cmd.Wait())
}

// startLimit starts the limit server and returns its address.
func startLimit(ctx context.Context, config limitConfig) (*child, string, error) {
	c, err := startChild(ctx, "limit")
	if err != nil {
		return nil, "", err
	}
	if err := json.NewEncoder(c.stdin).Encode(config); err != nil {
		return nil, "", errors.Join(err, c.stop())
	}
	addr, err := c.out.ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("the limit server did not start: %w", err), c.stop())
	}
	return c, strings.TrimSpace(addr), nil
}

// ask has the load process do a job.
func (c *child) ask(j job) (*result, error) {
	if err := json.NewEncoder(c.stdin).Encode(j); err != nil {
		return nil, err
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("the load process ended: %w", err)
	}
	var done result
	if err := json.Unmarshal(line, &done); err != nil {
		return nil, err
	}
	if done.Error != "" {
		return nil, errors.New(done.Error)
	}
	return &done, nil
}
