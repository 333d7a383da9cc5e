// Why the server refused something, in Chinese. The server speaks English, to a log or an
// integrator; an English desk reads that as it stands. What is in no list is shown with its
// code's words before it and the server's own behind.
import { lang } from '../lib/words.svelte'
import { name } from './texts/names'

/** Sentences of the server that a desk can meet, the first that fits; {x} is the group x of the sentence. */
export const rules: [RegExp, string][] = [
  // What is not there, or not now.
  [/^(?:\w+: )?history: no InfluxDB is configured/, '没有配置 InfluxDB：历史数值不保存。在配置的 influx 中填写地址，或用 managed 由网关自带'],
  [/^not answered in time/, '服务器未能及时应答，请稍后重试'],
  [/no answer yet, it may still be done/, '尚无结果，可能仍会执行；请稍后核对'],
  [/gateway is stopping/, '网关正在停止，未执行；请在恢复后重试'],
  [/engine is busy/, '网关正忙，未执行；请稍后重试'],
  [/^state is (?:closed|open for reading only)/, '网关当前只读，未执行'],
  [/cannot be read: /, '网关读不到自己的数据，未执行；请看 系统 → 概览'],
  [/^this gateway makes no figures/, '此网关未启用指标'],
  [/^alarm \S+: not found/, '这条告警已不在队列中：已恢复，或已由他人处理'],
  [/^ticket "?\S+?"?: not found among the open ones|^ticket \S+ has ended/, '工单已办结'],
  [/^ticket "?\S+?"?(?:: not found| is not known)/, '没有这张工单'],
  [/^(?:installation of \S+: )?point "?(?<point>[^"\s:]+)"?:? (?:is )?not (?:found|registered|known)/, '点位 {point} 未登记'],
  [/^device (?<device>\S+?):? (?:is )?not registered/, '设备 {device} 未登记'],
  [/^device (?<device>\S+?) is not among the discovered/, '设备 {device} 不在新发现之列：没有收到过它，或已登记'],
  [/^device (?<device>\S+?) was not heard/, '没有收到过设备 {device}'],
  [/^unit "(?<unit>[^"]*)" is not registered/, '处置单位 {unit} 未登记'],
  [/^unit is "(?<unit>[^"]*)": want one of kind/, '单位 {unit} 的类别不符'],
  [/^hazard \S+: not found/, '没有这项隐患'],
  [/^seat "(?<seat>[^"]*)" is not known/, '没有席位 {seat}'],
  [/^seat "?(?<seat>[^"\s]+)"? has nobody signed on/, '席位 {seat} 无人入席：请先入席'],
  // What has changed meanwhile.
  [/ticket \S+ is (?<state>\w+): it has ended and takes no/, '工单已是“{state}”，不再接受操作'],
  [/ticket \S+ is (?<state>\w+): (?<verb>\w+) is not allowed/, '工单现在是“{state}”，此时不能这样操作'],
  [/^ticket \S+ is P1: it cannot be suspended/, '一级工单不能挂起'],
  [/^ticket \S+ cannot be cancelled: its sensor is still in alarm/, '传感器仍在报警，不能取消工单'],
  [/^ticket \S+ cannot be cancelled: a second detector is in alarm/, '第二个探测器也在报警，不能取消工单'],
  [/^ticket "?\S+?"? is not open: want an open one to merge into/, '要并入的工单已办结，请选未办结的'],
  [/want one as urgent to merge into/, '只能并入同样紧急或更紧急的工单'],
  [/want both of one mode/, '实战与非实战的工单不能合并'],
  [/^ticket \S+ is led by another unit/, '工单由另一单位主办'],
  [/^ticket \S+ has no alarm in the queue/, '工单没有在队列中的告警，无需接手'],
  [/^ticket \S+ was returned (?<n>\d+) times: want the supervisor/, '工单已被退回 {n} 次：须由值班长指派'],
  [/^attempt is \d+: assignment/, '工单已返工，请看最新情况后再操作'],
  [/^alarm \S+ is taken at (?<seat>\S+): want that seat/, '告警已由席位 {seat} 接手：只能由该席位或值班长操作'],
  [/^seat (?<seat>\S+) is watched by (?<name>.+): want over/, '席位 {seat} 正由 {name} 值守：如需接替，请选“接替”'],
  [/^seat (?<seat>\S+) was signed on to anew, by (?<name>.+):/, '席位 {seat} 已由 {name} 在别处入席'],
  [/^seat (?<seat>\S+) is (?<name>.+)'s: want its session/, '席位 {seat} 是 {name} 的：只能由本人或值班长操作'],
  [/^seat (?<seat>\S+) is of practice/, '演练席位不能接手实战告警'],
  [/^seat "(?<seat>[^"]*)" is not watching/, '席位 {seat} 未在值守：须启用声音且数据实时'],
  [/^window \S+ has ended at/, '窗口已结束'],
  [/^window \S+ is there already/, '同号的窗口已存在'],
  [/(?<n>\d+) windows are open/, '已有 {n} 个窗口开放，已到上限：请先结束一些'],
  [/^visit \S+ has no open window/, '此次调试没有开放的窗口：该点位的告警会派出'],
  [/^hazard \S+ was extended (?<n>\d+) times/, '隐患已延期 {n} 次：请整改，或注明理由销号'],
  [/^hazard \S+ is \w+: \w+ is not allowed/, '隐患的状态已变，此时不能这样操作'],
  [/^handover \S+ was signed by (?<name>.+) already: want a second person/, '{name} 已签：须由另一人签字'],
  [/^handover \S+ says something else/, '交接内容已变：请重新生成'],
  [/^handover \S+ is signed by/, '双方已签字，内容不再改变'],
  [/^handover \S+ is signed as/, '这一方已签字，请签另一方'],
  [/^delivery \S+ is \w+: only a dead one can be sent again/, '只有发送失败的才能重发'],
  [/^point (?<point>\S+) has device (?<device>\S+?)(?: since|:)/, '点位 {point} 已有设备 {device}：请替换或移走'],
  [/^point "?(?<point>[^"\s]+)"? is registered already/, '点位 {point} 已登记'],
  [/(?:^|: )point "?(?<point>[^"\s]+)"? is retired/, '点位 {point} 已停用'],
  [/^point (?<point>\S+) has open tickets/, '点位 {point} 有未办结的工单'],
  [/^point (?<point>\S+): hazard \S+ .*is open/, '点位 {point} 有未销号的隐患'],
  [/^point (?<point>\S+): \S+ is active \(alarm/, '点位 {point} 仍有告警未恢复'],
  [/^device (?<device>\S+) is at point (?<point>\S+?):/, '设备 {device} 在点位 {point}：请先移走、替换或停用'],
  [/^device (?<device>\S+) is in use elsewhere/, '设备 {device} 在别处使用'],
  [/^device (?<device>\S+) has just been heard/, '刚刚收到过设备 {device}'],
  [/^device (?<device>\S+) was replaced at .*it can be undone for/, '替换的撤销期已过：请手工移动设备'],
  [/^device (?<device>\S+) is retired/, '设备 {device} 已停用'],
  [/^device (?<device>\S+) is (?<device_state>\w+): (?:revive it|want it revived)/, '设备 {device} 是“{device_state}”：请先恢复使用'],
  [/^device (?<device>\S+) is (?<device_state>\w+)(?: and |: want)/, '设备 {device} 是“{device_state}”，此时不能这样操作'],
  [/^device (?<device>\S+) has (?<n>\d+) open downlinks/, '设备 {device} 有 {n} 条下行指令未完成：请等待或撤回'],
  [/^downlink \S+ is \w+: want one that is queued/, '指令已发出，不能撤回'],
  [/^contact \S+ was erased/, '联系人已删除：请新建'],
  [/^profile (?<profile>\S+): the roll-out of version (?<version>\S+) runs/, '{profile} 的版本 {version} 正在推行：请先全部启用或退回'],
  [/^profile (?<profile>\S+): version (?<version>\S+) (?:is|was)/, '{profile} 已有版本 {version}：请换一个版本号'],
  [/^profile (?<profile>\S+): no roll-out/, '{profile} 没有正在推行的版本'],
  [/^roll-out of (?<profile>\S+) has changed meanwhile|another version came into force meanwhile/, '推行情况已变化：请看最新情况后再操作'],
  [/^profile is "(?<profile>[^"]*)": /, '没有固件配置 {profile}'],
  [/^the registry was changed meanwhile/, '登记已被他人修改：请重新核对表格'],
  [/^import \S+ is \w+/, '导入的状态已变：请看最新情况'],
  // What may not be done by whom.
  [/^(?<role>\w+) may not (?<verb>\w+): want/, '“{role}”无权这样操作'],
  [/^role is "(?<role>\w*)": want/, '“{role}”无权这样操作'],
  [/^posture is switched by/, '勤务等级只能由值班长切换'],
  [/^acknowledge of \S+ by/, '只有值班员或值班长能确认告警'],
  // What is missing or wrong in what was typed.
  [/^reason is missing: want one, there is no open P1 or P2/, '此处没有未结的一级或二级告警：查看号码须写明理由'],
  [/^reasons? is (?:missing|empty)|: reason is (?:missing|empty)/, '请写明理由'],
  [/^comment is empty/, '请写备注内容'],
  [/^code is of device (?<device>\S+): want/, '扫到的是设备 {device} 的码，不是这一台'],
  [/^position is /, '坐标不完整或不对：请按经度、纬度填写并选坐标系'],
  [/^place is missing/, '请选择地点'],
  [/^from is .* and to is .*: want from before to/, '开始须早于结束'],
  [/^expires (?:is|_in)/, '到期时间不对：须在今后，且不超过上限'],
  [/^to is .*: want when the posture ends/, '请填写勤务等级何时自动结束'],
  [/^device \S+: profile is empty/, '请选择固件配置'],
  [/(?:^|: )(?:point|building) \S+: (?:site|building) \S+ is (?:in|on)/, '点位与所属楼栋或小区不在同一辖区'],
  [/^mode is /, '模式不对：实战与非实战不能混用'],
  [/body\.(?<field>[\w.]+?)[\w.[\]]*: /, '“{field}”填写不对'],
]

const deviceStates: Record<string, string> = { registered: '已登记', installed: '在装', barred: '已禁用', retired: '已停用' }

const word = (group: string, value: string): string =>
  group === 'state' ? name('ticket', value) : group === 'device_state' ? (deviceStates[value] ?? value) : group === 'role' || group === 'kind' ? name(group, value) : value

/** fitting is what a format of the server's fits: its values are the groups 1, 2, … */
export function fitting(format: string): RegExp {
  const parts = format.split(/(%[+#.\d]*[a-zA-Z]|%%)/).map((part, i) => {
    if (i % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    if (part === '%%') return '%'
    return part.endsWith('q') ? '"(.*?)"' : part.endsWith('w') ? '(.*)' : part.endsWith('d') ? '(-?\\d+)' : '(.+?)'
  })
  return new RegExp(`(?:^|: )${parts.join('')}$`)
}

type Known = [RegExp, string][]

/** The many sentences, once learnt: the more of its own words a format has, the earlier. */
const learnt: { many: Known; spoken: Known } = { many: [], spoken: [] }

/** learn brings the many sentences: before they have come, what is not among the rules is shown in the server's words. */
export async function learn(): Promise<void> {
  const { sentences, spoken } = await import('./sentences')
  const own = (format: string) => format.replace(/%[+#.\d]*[a-zA-Z]/g, '').length
  const sorted = (all: Record<string, string>) => Object.entries(all).toSorted(([a], [b]) => own(b) - own(a))
  learnt.many = sorted(sentences).map(([format, zh]) => [fitting(format), zh])
  learnt.spoken = sorted(spoken).map(([format, zh]) => [new RegExp('^' + fitting(format).source.replace('(?:^|: )', '')), zh])
}

/** inChinese is the sentence in Chinese, or undefined where it is not known. */
export function inChinese(sentence: string): string | undefined {
  for (const [fits, text] of rules) {
    const found = fits.exec(sentence)
    if (found) return text.replace(/\{(\w+)\}/g, (_, k: string) => word(k, found.groups?.[k] ?? ''))
  }
  return among(learnt.many, sentence)
}

function among(known: Known, sentence: string): string | undefined {
  for (const [fits, text] of known) {
    const found = fits.exec(sentence)
    if (found) return text.replace(/\{(\d)(?::(\w+))?\}/g, (_, n: string, group?: string) => word(group ?? '', found[Number(n)] ?? ''))
  }
  return undefined
}

/** told is what the gateway itself says in a list or a history, in the reader's language as far as it is known. What a person wrote stays. */
export function told(text: string | undefined): string {
  if (!text || lang() !== 'zh') return text ?? ''
  const whole = among(learnt.spoken.filter(([fits]) => fits.source.includes('; ')), text)
  if (whole) return whole
  return text.split('; ').map((part) => among(learnt.spoken, part) ?? inChinese(part) ?? part).join('；')
}
