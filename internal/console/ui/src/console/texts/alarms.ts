import { locale, words } from '../../lib/words.svelte'
import { name } from './names'

/** Alarms: the queue, what a person does with it, and the sound. */
export const texts = {
  title: { zh: '告警', en: 'Alarms' },
  views: { zh: '告警视图', en: 'Views of alarms' },
  'view.queue': { zh: '队列', en: 'Queue' },
  'view.held': { zh: '搁置与停用', en: 'Held back' },
  'view.past': { zh: '历史', en: 'History' },
  'view.health': { zh: '需要治理', en: 'To mend' },
  queue: { zh: '告警队列', en: 'Alarm queue' },
  'count.unacked': { zh: '{n} 未确认', en: '{n} not acknowledged' },
  'count.all': { zh: '共 {n} 条', en: '{n} in all' },
  'count.held': { zh: '{n} 条被搁置', en: '{n} held back' },
  'count.more': { zh: '另有 {n} 行未列出，请按网格筛选', en: '{n} more lines are not shown: narrow by cell' },
  'stale': { zh: '与服务器的连接已中断，此列表可能已过时', en: 'The line to the server is lost: this list may be out of date' },
  flood: { zh: '告警洪泛，自 {at} 起：按网格与原因归组，每栋楼的首个烟感告警始终单列', en: 'Flood since {at}: grouped by cell and cause; the first smoke alarm of each building always stands alone' },

  'empty.title': { zh: '没有待处理的告警', en: 'Nothing needs you' },
  'empty.more': { zh: '新告警会按紧急程度出现在这里，并发声提醒（需先启用声音）。被搁置的在「搁置与停用」里。', en: 'New alarms come here in order of need, and with sound once it is armed. What a window holds back is under “Held back”.' },
  'filter.empty': { zh: '筛选条件下没有告警', en: 'No alarm fits the filter' },
  'filter.clear': { zh: '清除筛选', en: 'Clear the filter' },
  'filter.priority': { zh: '优先级', en: 'Priority' },
  'filter.state': { zh: '状态', en: 'State' },
  'filter.text': { zh: '按地点、类型、编号查找', en: 'Find by place, kind or number' },
  'filter.all': { zh: '全部', en: 'All' },

  'state.UNACK': { zh: '未确认', en: 'Not acknowledged' },
  'state.ACK': { zh: '已确认', en: 'Acknowledged' },
  'state.LATCHED_RTN': { zh: '已恢复，待确认', en: 'Over, to be acknowledged' },
  'state.RTN_UNACK': { zh: '已恢复，未确认', en: 'Over, never acknowledged' },
  'state.NORMAL': { zh: '已恢复', en: 'Over' },
  'state.short.UNACK': { zh: '未确认', en: 'Unack' },
  'state.short.ACK': { zh: '已确认', en: 'Acked' },
  'state.short.LATCHED_RTN': { zh: '已恢复', en: 'Returned' },
  'state.short.RTN_UNACK': { zh: '已恢复', en: 'Returned' },
  'state.short.NORMAL': { zh: '已恢复', en: 'Normal' },
  'quiet': { zh: '抖动抑制', en: 'Suppressed' },
  'quiet.title': { zh: '频繁变化，通知抑制到 {at}', en: 'It changes too often: nobody is told until {at}' },
  'late': { zh: '迟到', en: 'Late' },
  'again': { zh: '第 {n} 次', en: '{n}×' },
  'again.title': { zh: '本次告警期间共触发 {n} 次', en: 'Raised {n} times within this episode' },
  'taken': { zh: '{by} 处理中', en: '{by} has it' },
  'untaken': { zh: '无人接手', en: 'Nobody has it' },
  'confirmed': { zh: '双探测器确认', en: 'Confirmed' },
  'related': { zh: '关联', en: 'Related' },
  'together': { zh: '同一事件', en: 'Same incident' },
  'overdue': { zh: '工单超时', en: 'Ticket overdue' },


  'group.of': { zh: '{n} 条', en: '{n} ×' },
  'group.unacked': { zh: '{n} 条未确认', en: '{n} not acknowledged' },
  'group.cell': { zh: '网格 {cell}', en: 'Cell {cell}' },
  'group.building': { zh: '楼栋 {building}', en: 'Building {building}' },
  'group.open': { zh: '展开', en: 'Open' },
  'group.close': { zh: '收起', en: 'Close' },
  'group.more': { zh: '另有 {n} 条未列出', en: '{n} more are not listed' },
  'cause.fire': { zh: '火情', en: 'Fire' },
  'cause.water': { zh: '积水', en: 'Water' },

  'do.ack': { zh: '确认', en: 'Acknowledge' },
  'do.ack.n': { zh: '确认 {n} 条', en: 'Acknowledge {n}' },
  'do.shelve': { zh: '搁置', en: 'Shelve' },
  'do.out': { zh: '停用', en: 'Out of service' },
  'do.comment': { zh: '备注', en: 'Comment' },
  'do.open': { zh: '打开', en: 'Open' },
  'do.ticket': { zh: '工单', en: 'Ticket' },
  'do.send': { zh: '提交', en: 'Send' },
  'do.cancel': { zh: '取消', en: 'Cancel' },
  'do.end': { zh: '立即结束', en: 'End now' },
  'do.select': { zh: '选择 {what}', en: 'Select {what}' },
  'do.clear': { zh: '取消选择', en: 'Clear selection' },
  'selected': { zh: '已选 {n} 条', en: '{n} selected' },

  'said.acked': { zh: '已确认 {n} 条告警', en: '{n} acknowledged' },
  'said.refused': { zh: '{n} 条自显示后已变化，未确认，请再看一次', en: '{n} have changed since they were shown and were left: look again' },
  'said.nothing': { zh: '这些告警都已确认', en: 'All of these are acknowledged already' },
  'said.comment': { zh: '备注已保存', en: 'Comment kept' },
  'said.shelved': { zh: '已搁置到 {at}', en: 'Shelved until {at}' },
  'said.out': { zh: '已停用到 {at}', en: 'Out of service until {at}' },
  'said.ended': { zh: '已结束', en: 'Ended' },
  'ack.hint': { zh: '确认表示「我知道了」：停止声音与呼叫，不停止任何时限。确认不能撤销，到期后会再次提醒。', en: 'To acknowledge says “I know”: it stops sounds and calls, and no clock. It cannot be taken back, and ends by itself after a time.' },

  'form.ack': { zh: '确认告警', en: 'Acknowledge' },
  'form.shelve': { zh: '搁置告警', en: 'Shelve' },
  'form.out': { zh: '点位停用', en: 'Take out of service' },
  'form.comment': { zh: '添加备注', en: 'Add a comment' },
  'form.words': { zh: '备注', en: 'Comment' },
  'form.words.ack': { zh: '备注（可不填）', en: 'Comment (optional)' },
  'form.reason': { zh: '原因', en: 'Reason' },
  'form.for': { zh: '多久', en: 'How long' },
  'form.patrol': { zh: '巡查人', en: 'Who patrols meanwhile' },
  'form.wants.reason': { zh: '请填写原因', en: 'Want a reason' },
  'form.wants.words': { zh: '请填写备注', en: 'Want some words' },
  'form.wants.patrol': { zh: '烟感停用期间须有人巡查，请填写姓名', en: 'Smoke out of service wants a named patrol' },
  'no.shelve.smoke': { zh: '烟感告警不能搁置，只能停用并派人巡查', en: 'Smoke cannot be shelved: take it out of service with a patrol' },
  'no.shelve.p1': { zh: 'P1 告警不能搁置', en: 'A P1 alarm cannot be shelved' },
  'no.point': { zh: '该告警没有点位', en: 'It has no point' },
  'no.out.smoke': { zh: '烟感停用须由值班长操作', en: 'A supervisor takes smoke out of service' },
  'no.wall': { zh: '大屏只读，请到席位操作', en: 'A wall only shows: act at a desk' },
  'no.acked': { zh: '已确认', en: 'Acknowledged already' },
  'for.h1': { zh: '1 小时', en: '1 hour' },
  'for.h4': { zh: '4 小时', en: '4 hours' },
  'for.h8': { zh: '8 小时（一班）', en: '8 hours (a shift)' },
  'for.h24': { zh: '24 小时', en: '24 hours' },
  'for.h72': { zh: '3 天', en: '3 days' },
  'for.h168': { zh: '7 天', en: '7 days' },

  'detail': { zh: '告警详情', en: 'Alarm' },
  'fact.point': { zh: '点位', en: 'Point' },
  'fact.place': { zh: '地点', en: 'Place' },
  'fact.device': { zh: '设备', en: 'Device' },
  'fact.cell': { zh: '网格', en: 'Cell' },
  'fact.raised': { zh: '首次触发', en: 'Raised' },
  'fact.at': { zh: '设备时间', en: 'Device time' },
  'fact.returned': { zh: '恢复时间', en: 'Back to normal' },
  'fact.count': { zh: '触发次数', en: 'Times raised' },
  'fact.previous': { zh: '上一次告警', en: 'Episode before' },
  'fact.acked': { zh: '确认人', en: 'Acknowledged by' },
  'fact.until': { zh: '确认有效至', en: 'Acknowledged until' },
  'fact.comment': { zh: '最近备注', en: 'Newest comment' },
  'fact.cover': { zh: '窗口', en: 'Window' },
  'fact.id': { zh: '编号', en: 'Number' },
  'section.incident': { zh: '同一事件', en: 'The incident' },
  'section.history': { zh: '经过', en: 'History' },
  'history.none': { zh: '还没有人确认或备注', en: 'Nobody has acknowledged it or said anything yet' },
  'incident.confirmed': { zh: '同楼两个探测器先后报警，已确认（{at}）', en: 'Confirmed by a second detector or a person ({at})' },
  'incident.single': { zh: '单个探测器，尚未确认', en: 'One detector, not confirmed' },
  'incident.members': { zh: '{n} 个点位，{active} 个仍在报警', en: '{n} points, {active} still in alarm' },
  'incident.related': { zh: '附近的相关事件（互不确认）', en: 'Close by (shown together, they confirm nothing)' },
  'act.alarm.ack': { zh: '确认', en: 'Acknowledged' },
  'act.alarm.comment': { zh: '备注', en: 'Comment' },
  'act.alarm.answer': { zh: '答复', en: 'Answered' },
  'act.alarm.take': { zh: '接手', en: 'Took it' },
  'act.alarm.give_back': { zh: '交回', en: 'Gave it back' },

  'col.priority': { zh: '级别', en: 'Priority' },
  'col.state': { zh: '状态', en: 'State' },
  'col.type': { zh: '告警', en: 'Alarm' },
  'col.place': { zh: '地点', en: 'Place' },
  'col.raised': { zh: '触发', en: 'Raised' },
  'col.returned': { zh: '恢复', en: 'Over' },
  'col.by': { zh: '确认人', en: 'Acknowledged by' },
  'col.kind': { zh: '类别', en: 'Kind' },
  'col.points': { zh: '点位', en: 'Points' },
  'col.reason': { zh: '原因', en: 'Reason' },
  'col.who': { zh: '操作人', en: 'By' },
  'col.to': { zh: '结束', en: 'Ends' },
  'past.empty': { zh: '没有告警记录', en: 'No alarm is known' },
  'past.more': { zh: '更早的', en: 'Earlier ones' },
  'held.windows': { zh: '生效的窗口', en: 'Windows now open' },
  'held.alarms': { zh: '被搁置或停用的告警', en: 'Alarms they hold back' },
  'held.none': { zh: '没有搁置或停用', en: 'Nothing is held back' },
  'held.none.more': { zh: '在告警上按 S 搁置（P1 与烟感除外），到期自动恢复。', en: 'Press S on an alarm to shelve it (never P1, never smoke). It ends by itself.' },
  'held.alarms.none': { zh: '没有告警被搁置', en: 'No alarm is held back' },
  'health.chattering': { zh: '抖动：60 秒内触发 3 次以上', en: 'Chattering: 3 activations or more within 60 s' },
  'health.fleeting': { zh: '瞬时：10 秒内恢复', en: 'Fleeting: over within 10 s' },
  'health.stale': { zh: '长期未恢复：超过 24 小时', en: 'Stale: active for more than 24 h' },
  'health.none': { zh: '过去一天没有', en: 'None in the last day' },

  'keys.next': { zh: '下一条', en: 'Next' },
  'keys.previous': { zh: '上一条', en: 'Previous' },
  'keys.select': { zh: '选择', en: 'Select' },
  'keys.all': { zh: '全选列出的', en: 'Select all that are listed' },
  'keys.ack': { zh: '确认所选或当前', en: 'Acknowledge' },
  'keys.shelve': { zh: '搁置', en: 'Shelve' },
  'keys.out': { zh: '停用', en: 'Take out of service' },
  'keys.comment': { zh: '备注', en: 'Comment' },
  'keys.ticket': { zh: '打开工单', en: 'Open its ticket' },
  'keys.close': { zh: '关闭面板', en: 'Close the panel' },

  'sound.arm': { zh: '启用声音', en: 'Arm the sound' },
  'sound.armed': { zh: '声音已启用', en: 'Sound armed' },
  'sound.off': { zh: '声音未启用', en: 'Sound not armed' },
  'sound.blocked': { zh: '声音被阻止', en: 'Sound blocked' },
  'sound.disarm': { zh: '停用声音', en: 'Disarm' },
  'sound.test': { zh: '试音', en: 'Test' },
  'sound.banner.off': { zh: '声音未启用：新告警不会发声。', en: 'The sound is not armed: new alarms are silent.' },
  'sound.banner.blocked': { zh: '声音已被浏览器或系统阻止：告警不会发声！点此恢复。', en: 'The browser or the system blocks the sound: alarms are silent! Click to bring it back.' },
  'sound.ringing.p1': { zh: 'P1 未确认，正在报警', en: 'P1 not acknowledged: sounding' },
  'sound.ringing.p2': { zh: 'P2 未确认，正在提醒', en: 'P2 not acknowledged: sounding' },
} as const

export const t = words(texts)

/** typeWord is an event type in words; one that is not known stays what it is. */
export const typeWord = (type: string): string => name('type', type)

/** causeWord is what a group has in common: the name of an incident, or an event type. */
export function causeWord(cause: string): string {
  const key = ('cause.' + cause) as keyof typeof texts
  return key in texts ? t(key as 'cause.fire') : typeWord(cause)
}

export const modeWord = (mode: string): string => name('mode', mode)

/** windowWord is the kind of a window; a new one stays what it is. */
export const windowWord = (kind: string): string => name('window', kind)

/** actWord is a line of an alarm's history. */
export function actWord(action: string): string {
  const key = ('act.' + action) as keyof typeof texts
  return key in texts ? t(key as 'act.alarm.ack') : action
}

/** number is a count with its thousands apart. */
export function number(n: number): string {
  return n.toLocaleString(locale())
}
