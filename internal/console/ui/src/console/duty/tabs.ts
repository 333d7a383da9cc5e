import type { Both } from '../../lib/words.svelte'

/** The places of the duty desk, in the order of their tabs. Each is `#/` and its place. */
export const tabs: { place: string; label: Both }[] = [
  { place: 'duty', label: { zh: '席位', en: 'Seats' } },
  { place: 'duty/roster', label: { zh: '排班', en: 'Roster' } },
  { place: 'duty/handover', label: { zh: '交接班', en: 'Handover' } },
  { place: 'duty/sheets', label: { zh: '纸质值守表', en: 'Paper sheets' } },
  { place: 'duty/hazards', label: { zh: '隐患', en: 'Hazards' } },
  { place: 'duty/permits', label: { zh: '作业许可', en: 'Permits' } },
  { place: 'duty/windows', label: { zh: '窗口', en: 'Windows' } },
  { place: 'duty/exercises', label: { zh: '演练', en: 'Exercises' } },
  { place: 'duty/posture', label: { zh: '勤务等级', en: 'Posture' } },
]
