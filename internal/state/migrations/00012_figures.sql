-- What the figures are made of, and the list of hot-spots.

-- +goose Up

-- One narrow row beside each ticket, see grid.TicketMarks: a month of 200,000 tickets is
-- read from here in a second, and from the documents in ten. lasts is until when the row
-- can matter to a period; 1 << 62 while the ticket is open.
CREATE TABLE ticket_marks (
    opened       INTEGER NOT NULL,
    ticket       TEXT NOT NULL,
    type         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    priority     INTEGER NOT NULL,
    district     TEXT NOT NULL,
    street       TEXT NOT NULL,
    community    TEXT NOT NULL,
    compound     TEXT NOT NULL,
    contractor   TEXT NOT NULL,
    cell         TEXT NOT NULL,
    mode         TEXT NOT NULL,
    point        TEXT NOT NULL,
    unit         TEXT NOT NULL,
    profile      TEXT NOT NULL,
    state        TEXT NOT NULL,
    verification TEXT NOT NULL,
    rework       INTEGER NOT NULL,
    returns      INTEGER NOT NULL,
    occurred     INTEGER NOT NULL,
    told         INTEGER NOT NULL DEFAULT 0,
    acked        INTEGER NOT NULL DEFAULT 0,
    filed        INTEGER NOT NULL,
    dispatched   INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    arrived      INTEGER NOT NULL,
    handled      INTEGER NOT NULL,
    checked      INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    handle_due   INTEGER NOT NULL,
    held         INTEGER NOT NULL,
    late         INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    previous     INTEGER NOT NULL,
    lasts        INTEGER NOT NULL,
    PRIMARY KEY (opened, ticket)
) STRICT, WITHOUT ROWID;
-- Few: what was open, or could matter, for more than 31 days.
CREATE INDEX ticket_marks_long ON ticket_marks (lasts) WHERE lasts - opened > 2678400000000000;

INSERT INTO ticket_marks
SELECT t.opened, t.id, t.type, coalesce((SELECT p.kind FROM points p WHERE p.id = t.point), ''), t.priority,
    t.district, t.street, t.community, t.compound, t.contractor, t.cell, t.mode, t.point, t.unit,
    coalesce((SELECT d.profile FROM devices d WHERE d.identity = t.device), ''), t.state,
    coalesce(json_extract(t.doc, '$.verification'), ''), coalesce(json_extract(t.doc, '$.rework'), 0), coalesce(json_extract(t.doc, '$.returns'), 0),
    coalesce((SELECT a.at FROM alarms a WHERE a.id = t.alarm), 0),
    coalesce((SELECT min(d.done) FROM deliveries d WHERE d.ticket = t.id AND d.done > 0 AND d.state IN ('received', 'seen_by_person')), 0),
    coalesce((SELECT unixepoch(json_extract(a.detail, '$.acked_at')) FROM alarms a WHERE a.id = t.alarm AND a.detail <> ''), 0) * 1000000000,
    coalesce((SELECT min(m.at) FROM moves m WHERE m.ticket = t.id AND m.to_state = 'filed'), 0),
    coalesce((SELECT min(m.at) FROM moves m WHERE m.ticket = t.id AND m.to_state = 'dispatched' AND m.from_state <> ''), 0),
    coalesce((SELECT min(m.at) FROM moves m JOIN assignments s ON s.ticket = t.id AND s.id = m.assignment AND s.lead = 1
              WHERE m.ticket = t.id AND m.verb = 'accept'), 0),
    coalesce((SELECT min(m.at) FROM moves m JOIN assignments s ON s.ticket = t.id AND s.id = m.assignment AND s.lead = 1
              WHERE m.ticket = t.id AND m.verb = 'arrive'), 0),
    coalesce(unixepoch(json_extract(t.doc, '$.resolved')), 0) * 1000000000,
    coalesce((SELECT min(m.at) FROM moves m WHERE m.ticket = t.id AND m.verb IN ('close', 'rework')), 0),
    CASE t.ended WHEN 1 THEN t.closed ELSE 0 END,
    coalesce(unixepoch(json_extract(c.value, '$.due')), 0) * 1000000000,
    json_extract(c.value, '$.stopped') IS NOT NULL AND json_extract(t.doc, '$.resolved') IS NULL,
    coalesce(json_extract(c.value, '$.fired'), 0), t.due,
    coalesce((SELECT max(o.opened) FROM tickets o WHERE o.point = t.point AND o.point <> '' AND o.opened < t.opened AND o.type = t.type AND o.mode = t.mode), 0),
    CASE t.ended WHEN 1 THEN max(t.opened, t.closed, t.due, coalesce(unixepoch(json_extract(c.value, '$.due')), 0) * 1000000000) ELSE 4611686018427387904 END
FROM tickets t LEFT JOIN json_each(t.doc, '$.clocks') c ON json_extract(c.value, '$.name') = 'handle';

CREATE TABLE hotspots (
    id         TEXT PRIMARY KEY,
    what       TEXT NOT NULL,
    place      TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    listed     INTEGER NOT NULL,
    delisted   INTEGER NOT NULL, -- 0: stands on the list
    why        TEXT NOT NULL,
    why_not    TEXT NOT NULL,
    alarms     INTEGER NOT NULL,
    share      REAL NOT NULL,
    kinds      TEXT NOT NULL, -- JSON
    judged     INTEGER NOT NULL,
    ticket     TEXT NOT NULL,
    supervised INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hotspots_listed ON hotspots (listed, id);
CREATE INDEX hotspots_now ON hotspots (listed, id) WHERE delisted = 0;
