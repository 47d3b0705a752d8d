package plugins

import (
	"log"
	"sync"
	"time"
)

// queueConfig configures the batches of a plugin; Kong's fields, times in seconds.
type queueConfig struct {
	MaxBatchSize       int     `json:"max_batch_size" range:"1,1000000"`
	MaxCoalescingDelay float64 `json:"max_coalescing_delay" range:"0,3600"`
	MaxEntries         int     `json:"max_entries" range:"1,1000000"`
	MaxRetryTime       float64 `json:"max_retry_time"`
	InitialRetryDelay  float64 `json:"initial_retry_delay" range:"0.001,1000000"`
	MaxRetryDelay      float64 `json:"max_retry_delay" range:"0.001,1000000"`
	ConcurrencyLimit   int     `json:"concurrency_limit" range:"1,1"`
}

var queueDefaults = queueConfig{1, 1, 10000, 60, 0.01, 60, 1}

// queue sends in the background, in order, and tries again for a while. It has a goroutine only while it has entries.
type queue struct {
	queueConfig
	name string
	send func([][]byte) error

	mutex   sync.Mutex
	entries [][]byte
	running bool
}

func (q *queue) Add(entry []byte) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.entries) >= q.MaxEntries {
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
		if q.MaxBatchSize > 1 {
			time.Sleep(seconds(q.MaxCoalescingDelay))
		}
		q.mutex.Lock()
		count := min(len(q.entries), q.MaxBatchSize)
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
	begun, delay := time.Now(), q.InitialRetryDelay
	for {
		err := q.send(batch)
		if err == nil {
			return
		}
		if time.Since(begun) > seconds(q.MaxRetryTime) {
			log.Printf("%s: gave up on %d entries: %s", q.name, len(batch), err)
			return
		}
		time.Sleep(seconds(delay))
		delay = min(delay*2, q.MaxRetryDelay)
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
