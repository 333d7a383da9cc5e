/** The screens of the rail, in its order, and the key after "g" that goes there. */
export const nav = [
  { id: 'situation', key: 's' },
  { id: 'alarms', key: 'a' },
  { id: 'tickets', key: 't' },
  { id: 'points', key: 'p' },
  { id: 'devices', key: 'd' },
  { id: 'units', key: 'u' },
  { id: 'figures', key: 'f' },
  { id: 'duty', key: 'o' },
  { id: 'system', key: 'y' },
] as const
