package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	connectionBuffer = 32 << 10
	maxAnswer        = 1 << 20
	// answerLimit is when a service that does not answer ends the run.
	answerLimit = 20 * time.Second
)

// connection is one HTTP/1.1 keep-alive connection that sends prepared bytes: the load must cost little beside what it
// measures, and net/http's client costs more than some of the handlers.
type connection struct {
	conn net.Conn
	in   *bufio.Reader
	now  func() time.Time
	ans  answer
	// header, if not nil, is told of each header field of an answer.
	header func(name, value string)
}

// answer is the last response. Its slices are good until the next one.
type answer struct {
	status   int
	location []byte
	body     []byte
	// retryAfter says that there was a Retry-After.
	retryAfter bool
}

func dial(ctx context.Context, addr string, now func() time.Time) (*connection, error) {
	conn, err := (&net.Dialer{Timeout: answerLimit}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, connectionBuffer), now: now}, nil
}

func (c *connection) close() { _ = c.conn.Close() }

// roundTrip sends a whole request and reads a whole response.
func (c *connection) roundTrip(request []byte) (*answer, error) {
	if err := c.conn.SetDeadline(c.now().Add(answerLimit)); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	return &c.ans, c.read()
}

// read reads a response (RFC 9112 §4 to §7, as far as our own servers go).
func (c *connection) read() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("not a status line: %q", line)
	}
	if c.ans.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return err
	}
	c.ans.location, c.ans.body, c.ans.retryAfter = c.ans.location[:0], c.ans.body[:0], false
	length, chunked := 0, false
	for {
		if line, err = c.line(); err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		if c.header != nil {
			c.header(string(name), string(value))
		}
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case bytes.EqualFold(name, []byte("Retry-After")):
			c.ans.retryAfter = len(value) > 0
		case bytes.EqualFold(name, []byte("Location")):
			c.ans.location = append(c.ans.location, value...)
		}
	}
	if chunked {
		return c.chunks()
	}
	return c.take(length)
}

func (c *connection) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// take adds the next n bytes to the body.
func (c *connection) take(n int) error {
	have := len(c.ans.body)
	if have+n > maxAnswer {
		return errors.New("the response is too large")
	}
	if cap(c.ans.body) < have+n {
		c.ans.body = append(make([]byte, 0, 2*(have+n)), c.ans.body...)
	}
	c.ans.body = c.ans.body[:have+n]
	_, err := io.ReadFull(c.in, c.ans.body[have:])
	return err
}

func (c *connection) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(line), 16, 20)
		if err != nil {
			return fmt.Errorf("not a chunk size: %q", line)
		}
		if err := c.take(int(n)); err != nil {
			return err
		}
		if line, err := c.line(); err != nil || len(line) > 0 {
			return fmt.Errorf("a chunk ends with %q: %w", line, err)
		}
		if n == 0 {
			return nil
		}
	}
}
