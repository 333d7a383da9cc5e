// What the own account says: its password, its one-time codes, its passkeys.
import { accountRefusal } from './accountTexts'
import { Problem } from './api'
import { words } from './words.svelte'

export const texts = {
  'new.title': { zh: '请设置自己的密码', en: 'Choose a password of your own' },
  'new.why': { zh: '一次性密码只能用来换成您自己的密码。', en: 'A one-time password is good for choosing your own, and for nothing else.' },
  'new.rule': { zh: '至少 12 个字符；常见密码和含用户名的密码会被拒绝。', en: 'At least 12 characters; common ones and those with your name in them are refused.' },
  'new.old': { zh: '现在的密码', en: 'Present password' },
  'new.one': { zh: '新密码', en: 'New password' },
  'new.two': { zh: '再输一次', en: 'Once more' },
  'new.differ': { zh: '两次输入不一致', en: 'The two are not the same' },
  'new.set': { zh: '保存密码', en: 'Set the password' },
  'new.done': { zh: '密码已更改', en: 'The password is changed' },
  'new.length': { zh: '密码太短或太长：至少 12 个字符。', en: 'The password is too short or too long: 12 characters at least.' },
  'new.common': { zh: '这个密码太常见，请换一个别人没有的。', en: 'This password is a common one: choose one that nobody else has.' },
  'new.named': { zh: '密码几乎就是用户名，请换一个别人猜不到的。', en: 'This is your name and little else: choose one that others cannot guess.' },
  'new.number': { zh: '密码只是一个数字，请换一个别人猜不到的。', en: 'This is but a number: choose one that others cannot guess.' },
  'new.repeats': { zh: '密码只是几个字符的重复，请换一个别人猜不到的。', en: 'This is a few characters again and again: choose one that others cannot guess.' },
  'new.same': { zh: '新密码与现在的相同，请换一个。', en: 'The new password is the present one: choose another.' },
  'new.elsewhere': { zh: '密码由统一身份平台管理，请在那里更改。', en: 'Your password is kept by your house’s sign-on: change it there.' },

  'me.account': { zh: '我的账号', en: 'My account' },
  'me.password': { zh: '密码', en: 'Password' },
  'me.totp': { zh: '动态验证码', en: 'One-time codes' },
  'me.totp.on': { zh: '已启用：登录时要输入验证码。', en: 'In use: a code is asked at sign-on.' },
  'me.totp.off': { zh: '未启用。启用后，只有密码不能登录。', en: 'Not in use. With it, a password alone does not sign on.' },
  'me.totp.begin': { zh: '启用…', en: 'Set up…' },
  'me.totp.scan': { zh: '用验证器应用扫描，或手工输入密钥：', en: 'Scan with an authenticator app, or type the key:' },
  'me.totp.qr': { zh: '验证器密钥的二维码', en: "QR code of the authenticator's key" },
  'me.totp.code': { zh: '应用显示的 6 位数字', en: 'The six digits that it shows' },
  'me.totp.confirm': { zh: '确认启用', en: 'Confirm' },
  'me.totp.wrong': { zh: '验证码不对或已用过，请输入应用现在显示的。', en: 'The code is wrong or was used: type the one that the app shows now.' },
  'me.totp.codes': { zh: '恢复码：每条只能用一次，只显示这一次。请抄写或打印，放在安全处。', en: 'Recovery codes: each is good once, and they are shown this once. Write them down or print them, and keep them safe.' },
  'me.totp.end': { zh: '停用', en: 'Stop using' },
  'me.totp.ended': { zh: '动态验证码已停用', en: 'One-time codes are off' },
  'me.passkeys': { zh: '通行密钥', en: 'Passkeys' },
  'me.passkeys.none': { zh: '还没有。通行密钥用指纹、面容或安全密钥代替密码，钓鱼网站骗不走。', en: 'None yet. A passkey signs on by finger, face or security key; a false page cannot take it.' },
  'me.passkeys.add': { zh: '添加通行密钥', en: 'Add a passkey' },
  'me.passkeys.name': { zh: '名称', en: 'Its name' },
  'me.passkeys.secure': { zh: '通行密钥需要 HTTPS。', en: 'Passkeys want HTTPS.' },
  'me.passkeys.added': { zh: '已添加', en: 'Added' },
  'me.passkeys.full': { zh: '通行密钥已满，请先删除一个。', en: 'There is no room for another passkey: take one off first.' },
  'me.remove': { zh: '删除', en: 'Remove' },
  'own.other': { zh: '未执行：{detail}', en: 'Not done: {detail}' },
} as const

export const t = words(texts)

const known: [RegExp, keyof typeof texts][] = [
  [/^there are \d+ passkeys/, 'me.passkeys.full'],
  [/^the password has \d+ characters/, 'new.length'],
  [/^the password is a common one/, 'new.common'],
  [/^the password is the name/, 'new.named'],
  [/^the password is a number/, 'new.number'],
  [/^the password repeats/, 'new.repeats'],
  [/^the new password is the old one/, 'new.same'],
  [/^the password is kept at/, 'new.elsewhere'],
  [/^the code is wrong/, 'me.totp.wrong'],
]

/** ownRefusal says why something of the own account was refused. */
export function ownRefusal(err: unknown): string {
  const detail = err instanceof Problem ? err.detail : String(err)
  const found = known.find(([sentence]) => sentence.test(detail))
  return found ? t(found[1]) : (accountRefusal(err) ?? t('own.other', { detail }))
}
