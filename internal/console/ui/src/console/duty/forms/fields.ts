/**
 * onward makes Enter go to the next field of a form: for who writes while somebody talks.
 * Shift+Enter writes a new line, Ctrl+Enter sends.
 */
export function onward(form: HTMLFormElement): { destroy(): void } {
  const fields = () =>
    [...form.querySelectorAll<HTMLElement>('input, select, textarea, button.primary')].filter(
      (el) => !(el as HTMLInputElement).disabled && el.offsetParent !== null && !(el instanceof HTMLInputElement && ['radio', 'file'].includes(el.type) && !(el.type === 'radio' && el.checked)),
    )
  const key = (e: KeyboardEvent) => {
    if (e.key !== 'Enter' || e.isComposing || e.defaultPrevented) return
    const on = e.target as HTMLElement
    if (e.ctrlKey || e.metaKey) {
      e.preventDefault()
      form.requestSubmit()
      return
    }
    if (e.shiftKey || on instanceof HTMLButtonElement || on instanceof HTMLAnchorElement || (on as HTMLInputElement).type === 'file') return
    e.preventDefault()
    const all = fields()
    const radio = on instanceof HTMLInputElement && on.type === 'radio' ? on.name : ''
    const next = all.find((el) => !!(on.compareDocumentPosition(el) & Node.DOCUMENT_POSITION_FOLLOWING) && !(radio && (el as HTMLInputElement).name === radio))
    next?.focus()
  }
  form.addEventListener('keydown', key)
  return { destroy: () => form.removeEventListener('keydown', key) }
}

/** local is a time as a datetime-local field has it. */
export function local(at: string | number | Date): string {
  const d = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`
}
