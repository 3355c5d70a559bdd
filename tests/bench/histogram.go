package main

import (
	"math"
	"time"
)

// A bucket is 1 % wider than the one before; the last ends beyond 100 s.
const (
	bucketGrowth = 0.01
	buckets      = 1900
)

// histogram counts latencies from a microsecond up, to 1 % of their value.
type histogram []uint32

func newHistogram() histogram { return make(histogram, buckets) }

func (h histogram) add(latency time.Duration) {
	n := int(math.Log(max(float64(latency)/float64(time.Microsecond), 1)) / math.Log1p(bucketGrowth))
	h[min(n, buckets-1)]++
}

func (h histogram) merge(other histogram) {
	for i, count := range other {
		h[i] += count
	}
}

func (h histogram) count() int {
	total := 0
	for _, count := range h {
		total += int(count)
	}
	return total
}

// quantile returns the latency that the share q of all stays below, in milliseconds.
func (h histogram) quantile(q float64) float64 {
	left := int(math.Ceil(q * float64(h.count())))
	for i, count := range h {
		if left -= int(count); left <= 0 && count > 0 {
			return math.Exp((float64(i)+0.5)*math.Log1p(bucketGrowth)) / 1000
		}
	}
	return 0
}
