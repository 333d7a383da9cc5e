import { tick } from 'svelte'

/**
 * onward makes Enter go to the next field of a form: for who writes while somebody talks.
 * Shift+Enter writes a new line, Ctrl+Enter sends.
 */
export function onward(e: KeyboardEvent): void {
  if (e.key !== 'Enter' || e.isComposing || e.defaultPrevented) return
  const form = e.currentTarget as HTMLFormElement
  const on = e.target as HTMLElement
  if (e.ctrlKey || e.metaKey) {
    e.preventDefault()
    form.requestSubmit()
    return
  }
  if (e.shiftKey || on instanceof HTMLButtonElement || on instanceof HTMLAnchorElement || (on as HTMLInputElement).type === 'file') return
  e.preventDefault()
  // What was just chosen may bring a field of its own.
  void tick().then(() => next(form, on)?.focus())
}

function next(form: HTMLFormElement, on: HTMLElement): HTMLElement | undefined {
  const group = on instanceof HTMLInputElement && on.type === 'radio' ? on.name : ''
  return [...form.querySelectorAll<HTMLElement>('input, select, textarea, button.primary')].find((el) => {
    const { type, name, checked, disabled } = el as HTMLInputElement
    if (disabled || el.offsetParent === null || type === 'file' || (type === 'radio' && name === group)) return false
    if (type === 'radio' && !checked && form.querySelector(`input[name="${CSS.escape(name)}"]:checked`)) return false
    return !!(on.compareDocumentPosition(el) & Node.DOCUMENT_POSITION_FOLLOWING)
  })
}

/** local is a time as a datetime-local field has it. */
export function local(at: string | number | Date): string {
  const d = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`
}
