import { field } from './field'
import { refused } from './refused'
import { shell } from './shell'

/** All that the app says, in both languages. A key that is missing here does not compile. */
export const texts = { ...shell, ...field, ...refused }
