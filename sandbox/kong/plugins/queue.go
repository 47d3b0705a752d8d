package plugins

import (
	"log"
	"sync"
	"time"
)

// Kong's defaults for queues.
const (
	coalescingDelay = time.Second // of a batch that could have more entries
	maxEntries      = 10000
	maxRetryTime    = time.Minute
)

// queue sends in the background, in order, and tries again for a while. It has a goroutine only while it has entries.
type queue struct {
	batchSize int
	name      string
	send      func([][]byte) error

	mutex   sync.Mutex
	entries [][]byte
	running bool
}

func (q *queue) Add(entry []byte) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.entries) >= maxEntries {
		log.Printf("%s: queue full, dropping the oldest entry", q.name)
		q.entries = q.entries[1:]
	}
	if q.entries = append(q.entries, entry); !q.running {
		q.running = true
		go q.Drain()
	}
}

func (q *queue) Drain() {
	for {
		if q.batchSize > 1 {
			time.Sleep(coalescingDelay)
		}
		q.mutex.Lock()
		count := min(len(q.entries), q.batchSize)
		batch := q.entries[:count:count]
		q.entries = q.entries[count:]
		q.running = count > 0
		q.mutex.Unlock()
		if count == 0 {
			return
		}
		q.deliver(batch)
	}
}

func (q *queue) deliver(batch [][]byte) {
	begun, delay := time.Now(), 10*time.Millisecond
	for {
		err := q.send(batch)
		if err == nil {
			return
		}
		if time.Since(begun) > maxRetryTime {
			log.Printf("%s: gave up on %d entries: %s", q.name, len(batch), err)
			return
		}
		time.Sleep(delay)
		delay = min(delay*2, time.Minute)
	}
}
