import { texts as phone } from '../../lib/phone/texts'
import { shell } from './shell'

/** What the shell and the first screens say, in both languages. A key that is missing does not compile. */
export const texts = { ...phone, ...shell }
