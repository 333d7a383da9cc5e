import { words } from '../../lib/words.svelte'

/** The duty desk: seats, taking, roster, handover, sheets on paper. */
export const texts = {
  title: { zh: '值守', en: 'Duty' },
  tabs: { zh: '值守的各页', en: 'Places of the duty desk' },
} as const

export const t = words(texts)
