/** Scan, points, claim, commissioning and swap. */
export const field = {
  'scan.title': { zh: '扫码', en: 'Scan' },
  'points.title': { zh: '点位', en: 'Points' },
} as const
