package dispatch

import "container/heap"

// streamHeap is a priority queue of streams. A stream is in one at most, and knows which.
type streamHeap struct {
	s    []*stream
	less func(a, b *stream) bool
}

func (h *streamHeap) first() *stream {
	if len(h.s) == 0 {
		return nil
	}
	return h.s[0]
}

func (h *streamHeap) push(s *stream)   { heap.Push((*heapOrder)(h), s) }
func (h *streamHeap) remove(s *stream) { heap.Remove((*heapOrder)(h), s.place) }

// heapOrder is what container/heap asks for, kept out of sight of the lane.
type heapOrder streamHeap

func (h *heapOrder) Len() int           { return len(h.s) }
func (h *heapOrder) Less(i, j int) bool { return h.less(h.s[i], h.s[j]) }

func (h *heapOrder) Swap(i, j int) {
	h.s[i], h.s[j] = h.s[j], h.s[i]
	h.s[i].place, h.s[j].place = i, j
}

func (h *heapOrder) Push(x any) {
	s := x.(*stream)
	s.heap, s.place = (*streamHeap)(h), len(h.s)
	h.s = append(h.s, s)
}

func (h *heapOrder) Pop() any {
	last := len(h.s) - 1
	s := h.s[last]
	h.s[last] = nil
	h.s = h.s[:last]
	s.heap, s.place = nil, -1
	return s
}
