package registry

// SetContractor gives a point into other hands, and leaves all else of it as it is.
func (m *Memory) SetContractor(point, contractor string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.Point(point); ok {
		row := &m.points[n]
		s := m.places[row.scope]
		s.Contractor = contractor
		row.scope = m.scope(s)
	}
}
