import { texts as account } from '../accountTexts'
import { words } from '../words.svelte'
import { texts as phone } from './texts'

/** What the screens of signing on say: they come with it, and not before. */
export const texts = {
  ...account,
  ...phone,
  'sign.lead': { zh: '用管理员给您的用户名登录。', en: 'Sign on with the user name that your administrator has given you.' },
  'sign.lead.token': { zh: '扫描或输入单位令牌，填写您的姓名。一部手机多人共用时用它。', en: "Scan or type your unit's token and say who you are: for a phone that a crew shares." },
  'sign.token': { zh: '单位令牌', en: "Unit's token" },
  'sign.show': { zh: '显示', en: 'Show' },
  'sign.hide': { zh: '隐藏', en: 'Hide' },
  'sign.name': { zh: '姓名', en: 'Your name' },
  'sign.role': { zh: '角色', en: 'Role' },
  'sign.in': { zh: '登录', en: 'Sign on' },
  'sign.checking': { zh: '正在核对…', en: 'Checking…' },
  'sign.wrong': { zh: '令牌无效，请核对后重试。', en: 'This token is not known: check it and try again.' },
  'sign.term': { zh: '该单位的服务期未到或已过。', en: "Your unit's term has not begun or is over." },
  'sign.offline': { zh: '连接不到服务器。登录需要网络。', en: 'The server does not answer. Signing on needs a connection.' },
  'sign.need': { zh: '请填写令牌和姓名。', en: 'Token and name are needed.' },
  'sign.by.token': { zh: '用单位令牌登录', en: "Sign on with the unit's token" },
  'sign.by.account': { zh: '用账号登录', en: 'Sign on with your account' },
  'sign.on.as': { zh: '继续以“{name}”使用', en: 'Go on as {name}' },
  'sign.slow': { zh: '尝试过多，请 {n} 秒后再试。手机上的内容不受影响。', en: 'Too many tries: again in {n} s. What is on this phone is not touched.' },
  'sign.plain.token': { zh: '也可以用单位令牌登录。', en: "Or sign on with the unit's token." },
  'sign.desk': { zh: '这是值守台的用户，请打开值守台。', en: 'This user is of the desk: open the console.' },
  'sign.desk.open': { zh: '打开值守台', en: 'Open the console' },
  'sign.inbox': { zh: '这个用户的单位不做维保，请打开处置收件箱。', en: 'The unit of this user does no maintenance: open the inbox of units.' },
  'sign.inbox.open': { zh: '打开处置收件箱', en: 'Open the inbox' },
  'sign.waits': { zh: '本机有 {who} 未上传的 {n} 项。本人登录后自动上传。', en: '{n} of {who} wait on this phone. They are sent when the same person signs on.' },
  'others.title': { zh: '本机有他人未上传的内容', en: 'This phone holds unsent work of somebody else' },
  'others.lead': { zh: '您将以“{unit}”登录。', en: 'You are about to sign on as {unit}.' },
  'others.keep': { zh: '保留，并以“{unit}”登录', en: 'Keep it, sign on as {unit}' },
  'others.go': { zh: '以“{unit}”登录', en: 'Sign on as {unit}' },
  'new.title': { zh: '请设置自己的密码', en: 'Choose a password of your own' },
  'new.why': { zh: '一次性密码只能用来换成您自己的密码。', en: 'A one-time password is good for choosing your own, and for nothing else.' },
} as const

export const t = words(texts)
