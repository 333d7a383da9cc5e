/** A random id of 32 hex digits. crypto.randomUUID needs HTTPS, this does not. */
export function newId(): string {
  const b = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('')
}
