package portable

import (
	"errors"
	"io"

	"golang.org/x/sync/semaphore"

	"larder/internal/web"
)

var errNoRoom = errors.New("portable: others hold all that may be held")

// receive reads a file, of which what has come counts towards maxHeld until it
// is released: who sends slowly takes the room of what was sent.
func (h *Portable) receive(from io.Reader) (body []byte, release func(), err error) {
	m := &metered{from: from, room: h.room}
	release = func() { h.room.Release(m.held) }
	if body, err = io.ReadAll(m); err != nil {
		release()
		if errors.Is(err, errNoRoom) {
			return nil, nil, busy()
		}
		return nil, nil, web.ReadFault(err)
	}
	return body, release, nil
}

type metered struct {
	from io.Reader
	room *semaphore.Weighted
	held int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	if !m.room.TryAcquire(int64(n)) {
		return 0, errNoRoom
	}
	m.held += int64(n)
	return n, err
}
