import { get } from '../api'

export interface Me {
  role: string
  name: string
  unit: { id: string; name: string; kind: string } | null
}

/** whoIs asks for whom a token stands. */
export const whoIs = (token: string): Promise<Me> => get<Me>('/me', { token })
