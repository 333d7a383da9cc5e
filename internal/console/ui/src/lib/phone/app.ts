/**
 * Which app this is, by its folder on the server: m (the technician's) or u (the inbox of
 * units). They share an origin, and what one keeps on the phone is out of the other's reach.
 */
export const app: 'm' | 'u' = globalThis.location?.pathname.startsWith('/u/') ? 'u' : 'm'
