export type Lang = 'zh' | 'en'

/** A text in both languages, as the server and the dictionaries give it. */
export type Both = { zh: string; en: string }
