package engine

import (
	"context"
	"slices"
	"strconv"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// A sheet comes in pieces, each a command of its own: safety frames go between two of them.
// What a piece is made of was read beside the engine; Registry says as of which change of the
// registry, and a piece that was overtaken by another change is made anew by who sent it.

// RegistryNo counts the changes of the registry since the start. Safe for concurrent use.
func (e *Engine) RegistryNo() uint64 { return e.registryNo.Load() }

// AddImport notes a sheet that was handed in. The same key again is the same import.
func (e *Engine) AddImport(ctx context.Context, m grid.Import, key string) (grid.Import, error) {
	if key != "" {
		key = "import/" + key
	}
	return as[grid.Import](e.do(ctx, &command{name: "import", key: key, do: func(b *batch) (any, error) {
		m.ID, m.At, m.Mode = b.id(), b.now, grid.Live
		m.Scope = b.e.home
		b.rows.Imports = append(b.rows.Imports, m)
		b.audit("import.add", m.ID, m.By, nil)
		return m, nil
	}}))
}

// MoveImport writes an import anew whose state is one of from; action is for the audit, "" is
// a step of the machine's own.
func (e *Engine) MoveImport(ctx context.Context, m grid.Import, action string, by grid.Actor, from ...grid.ImportState) (grid.Import, error) {
	return as[grid.Import](e.do(ctx, &command{name: "import", do: func(b *batch) (any, error) {
		old, err := b.importRow(m.ID)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(from, old.State) {
			return nil, grid.Errorf(grid.Conflict, "import %s is %s: want it %v", m.ID, old.State, from)
		}
		b.rows.Imports = append(b.rows.Imports, m)
		if action != "" {
			b.audit(action, m.ID, by, nil)
		}
		return m, nil
	}}))
}

// importRow is an import as it is in this batch.
func (b *batch) importRow(id string) (grid.Import, error) {
	for i := len(b.rows.Imports) - 1; i >= 0; i-- {
		if b.rows.Imports[i].ID == id {
			return b.rows.Imports[i], nil
		}
	}
	return b.e.store.Import(context.Background(), id)
}

// overtaken says that the registry was changed since no, also by a command before in this batch.
func (b *batch) overtaken(no uint64) error {
	r := &b.rows
	if b.e.registryNo.Load() != no || b.touchesRegistry() || len(r.Units) > 0 {
		return grid.Errorf(grid.Conflict, "the registry was changed meanwhile: want the rows compared with it anew")
	}
	return nil
}

func (b *batch) touchesRegistry() bool {
	r := &b.rows
	return len(r.Points)+len(r.Devices)+len(r.Installations)+len(r.Buildings)+len(r.Handed)+
		len(r.Gone.Points)+len(r.Gone.Devices)+len(r.Gone.Installations)+len(r.Gone.Buildings) > 0
}

// PutImported puts one piece of an import in force. The same piece again changes nothing.
func (e *Engine) PutImported(ctx context.Context, p grid.ImportPiece) (grid.Import, error) {
	key := pieceKey("import", p.Import, p.From)
	return as[grid.Import](e.do(ctx, &command{name: "import", key: key, registry: true, act: actOf(p.Import, p.By), do: func(b *batch) (any, error) { return b.putImported(&p) }}))
}

// actOf is what the history says of an import.
func actOf(id string, by grid.Actor) grid.Act {
	return grid.Act{By: by, Via: "import", Reason: "import " + id}
}

func (b *batch) putImported(p *grid.ImportPiece) (any, error) {
	m, err := b.importRow(p.Import)
	if err == nil {
		err = b.overtaken(p.Registry)
	}
	if err != nil {
		return nil, err
	}
	if m.State != grid.ImportApplying || m.Done != p.From {
		return nil, grid.Errorf(grid.Conflict, "import %s is %s, done up to row %d: want it applying up to row %d", m.ID, m.State, m.Done, p.From)
	}
	if err := b.place(p.Points, p.Devices, p.Installations); err != nil {
		return nil, err
	}
	b.rows.Buildings = append(b.rows.Buildings, p.Buildings...)
	m.Done = p.To
	m.Same, m.Changed, m.Added, m.Bad = m.Same+p.Same, m.Changed+p.Changed, m.Added+p.Added, m.Bad+p.Bad
	m.Good = m.Same + m.Changed + m.Added
	if p.Last {
		m.State, m.Ended = grid.ImportApplied, b.now
		b.audit("import.applied", m.ID, m.By, nil)
	}
	b.rows.Imports = append(b.rows.Imports, m)
	if len(p.Was) > 0 {
		b.rows.ImportPieces = append(b.rows.ImportPieces, state.ImportPiece{Import: m.ID, N: p.From, Was: p.Was})
	}
	return m, nil
}

// place puts rows that are whole: nothing of them is completed or compared here.
func (b *batch) place(points []grid.Point, devices []grid.Device, installations []grid.Installation) error {
	e := b.e
	for i := range points {
		b.followBorders(&points[i])
	}
	b.intoHands(points)
	for i := range devices {
		if _, err := e.profiles.Get(devices[i].Profile); err != nil {
			return grid.Errorf(grid.Invalid, "device %s: profile %q: %w", devices[i].Identity, devices[i].Profile, err)
		}
	}
	if err := b.everyPlaceIsThere(points, devices, installations); err != nil {
		return err
	}
	for i := range devices {
		d := &devices[i]
		if d.State == grid.Barred || d.State == grid.Retired {
			b.takeOutOfService(d)
		}
		b.knownNow(d.Identity)
	}
	r := &b.rows
	r.Points, r.Devices = append(r.Points, points...), append(r.Devices, devices...)
	r.Installations = append(r.Installations, installations...)
	b.after = append(b.after, func() { e.remember(points, devices, installations, nil) })
	return nil
}

func (b *batch) everyPlaceIsThere(points []grid.Point, devices []grid.Device, installations []grid.Installation) error {
	here, known := map[string]bool{}, map[grid.Identity]bool{}
	for i := range points {
		here[points[i].ID] = true
	}
	for i := range devices {
		known[devices[i].Identity] = true
	}
	for i := range installations {
		in := &installations[i]
		if _, ok := b.e.memory.Point(in.Point); !ok && !here[in.Point] {
			return grid.Errorf(grid.Conflict, "installation of %s: point %q is not registered", in.Device, in.Point)
		}
		if _, ok := b.e.memory.Device(in.Device); !ok && !known[in.Device] {
			return grid.Errorf(grid.Conflict, "installation of %s: device is not registered", in.Device)
		}
	}
	return nil
}

// Heard gives those of some devices that were heard since they are known.
func (e *Engine) Heard(ctx context.Context, devices []grid.Identity) ([]grid.Identity, error) {
	return as[[]grid.Identity](e.do(ctx, &command{name: "heard", do: func(*batch) (any, error) {
		var out []grid.Identity
		for _, id := range devices {
			if e.wasHeard(id) {
				out = append(out, id)
			}
		}
		return out, nil
	}}))
}

func (e *Engine) wasHeard(id grid.Identity) bool {
	no, ok := e.memory.Device(id)
	return ok && (e.soft.devs[no].heard != 0 || e.soft.devs[no].frames != 0)
}

// UndoImported takes one piece of an import back. A device that was heard meanwhile is never
// taken out.
func (e *Engine) UndoImported(ctx context.Context, u grid.ImportUndo) (grid.Import, error) {
	key := pieceKey("import-undo", u.Import, u.Piece)
	return as[grid.Import](e.do(ctx, &command{name: "import", key: key, registry: true, act: actOf(u.Import, u.By), do: func(b *batch) (any, error) { return b.undoImported(&u) }}))
}

func (b *batch) undoImported(u *grid.ImportUndo) (any, error) {
	e := b.e
	m, err := b.importRow(u.Import)
	if err == nil {
		err = b.overtaken(u.Registry)
	}
	if err != nil {
		return nil, err
	}
	if m.State != grid.ImportUndoing {
		return nil, grid.Errorf(grid.Conflict, "import %s is %s: want it undoing", m.ID, m.State)
	}
	for _, id := range u.Gone.Devices {
		if e.wasHeard(id) {
			return nil, grid.Errorf(grid.Conflict, "device %s has just been heard", id)
		}
	}
	if err := b.place(u.Points, u.Devices, u.Installations); err != nil {
		return nil, err
	}
	put := b.after[len(b.after)-1]
	b.after[len(b.after)-1] = func() { e.forgetRows(&u.Gone); put() }
	b.rows.Buildings = append(b.rows.Buildings, u.Buildings...)
	g := &b.rows.Gone
	g.Buildings = append(g.Buildings, u.Gone.Buildings...)
	g.Points, g.Devices = append(g.Points, u.Gone.Points...), append(g.Devices, u.Gone.Devices...)
	g.Installations = append(g.Installations, u.Gone.Installations...)
	m.Done++
	m.Kept += len(u.Kept)
	if u.Last {
		m.State, m.Ended = grid.ImportUndone, b.now
		b.audit("import.undone", m.ID, m.By, nil)
	}
	b.rows.Imports = append(b.rows.Imports, m)
	if len(u.Kept) > 0 {
		b.rows.ImportPieces = append(b.rows.ImportPieces, state.ImportPiece{Import: m.ID, N: u.Piece, Kept: u.Kept})
	}
	return m, nil
}

// forgetRows takes what was deleted out of memory.
func (e *Engine) forgetRows(g *grid.ImportGone) {
	for _, in := range g.Installations {
		in.To = e.Now()
		if err := e.putInstallation(in); err != nil {
			e.log.Error("installation is left out", "err", err)
		}
	}
	for _, id := range g.Devices {
		if no, ok := e.memory.Device(id); ok {
			e.soft.touchDevice(no).timer = 0
			e.memory.DropDevice(id)
		}
	}
	for _, id := range g.Points {
		if no, ok := e.memory.Point(id); ok {
			if d := e.memory.PointAt(no).Device(); d == registry.DeviceNo(registry.None) {
				e.soft.touchPoint(no).timer = 0
				e.memory.DropPoint(id)
			}
		}
	}
}

func pieceKey(what, id string, n int) string { return what + "/" + id + "/" + strconv.Itoa(n) }
