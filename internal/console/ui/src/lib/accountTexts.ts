// What signing on with an account says, at the desk and on a phone.
import { Problem } from './api'
import { words } from './words.svelte'

export const texts = {
  sign: { zh: '登录', en: 'Sign on' },
  'on.name': { zh: '用户名', en: 'User name' },
  'on.password': { zh: '密码', en: 'Password' },
  'on.code': { zh: '动态验证码', en: 'One-time code' },
  'on.code.what': { zh: '验证器应用上的 6 位数字，或一条恢复码。', en: 'Six digits of your authenticator app, or a recovery code.' },
  'on.passkey': { zh: '用通行密钥登录', en: 'Sign on with a passkey' },
  'on.with': { zh: '用{label}登录', en: 'Sign on with {label}' },
  'on.token': { zh: '用令牌登录', en: 'Sign on with a token' },
  'on.account': { zh: '用账号登录', en: 'Sign on with a user name' },
  'on.bad': { zh: '用户名、密码或验证码不对。', en: 'User name, password or code is wrong.' },
  'on.none': { zh: '联系不上服务器，请检查网络。', en: 'The server gives no answer. Look at the network.' },
  'on.need': { zh: '请填写', en: 'Please fill in' },
  'on.refused': { zh: '统一身份登录未获准（{code}）。请联系管理员。', en: 'Your house’s sign-on was not let in ({code}). Ask the administrator.' },
  'on.other': { zh: '登录未成功：{detail}', en: 'Not signed on: {detail}' },
  'on.plain': { zh: '这个地址没有加密（HTTP），不能用账号登录：请用 https:// 打开本页。', en: 'This address is not encrypted (HTTP): no account signs on here. Open this page by https://.' },
  'on.slowly': { zh: '尝试过多，请稍后再试。', en: 'Too many tries: try again in a moment.' },
  'on.closed': { zh: '没有使用通行密钥。可以再试，或用密码登录。', en: 'No passkey was used. Try again, or sign on with the password.' },
  'on.key.bad': { zh: '这个通行密钥无效或已被删除，请用别的方式登录。', en: 'This passkey does not hold or was taken off: sign on another way.' },
  'on.key.name': { zh: '通行密钥需要用域名打开本页，不能用 IP 地址。', en: 'Passkeys want this page opened by a name, not by an IP address.' },
} as const

export const t = words(texts)

/** What the server says at sign-on, by its sentence. */
const known: [RegExp, keyof typeof texts][] = [
  [/this is plain HTTP/, 'on.plain'],
  [/^too many tries/, 'on.slowly'],
  [/^the passkey (?:does not hold|came|cannot be read)|^flow is not/, 'on.key.bad'],
  [/passkeys want a name/, 'on.key.name'],
]

/** accountRefusal says why a sign-on was refused; undefined: it is none of the known. */
export function accountRefusal(err: unknown): string | undefined {
  if (err instanceof DOMException) return t('on.closed') // the person has closed the browser's question
  if (!(err instanceof Problem)) return t('on.none')
  const found = known.find(([sentence]) => sentence.test(err.detail))
  if (found) return t(found[1])
  return err.status === 401 ? t('on.bad') : undefined
}
