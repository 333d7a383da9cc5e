import { words } from '../../lib/words.svelte'

/** What the server's codes of tasks say. A task without a code keeps the server's own words. */
export const texts = {
  'says.nowatch': { zh: '没有席位在值守', en: 'no seat watches' },
  'says.nobody': { zh: '{for} 无人接手', en: 'nobody has taken it for {for}' },
  'says.toseats': { zh: '已提醒所有席位', en: 'all seats are told' },
  'says.tolead': { zh: '已呼叫值班长', en: 'the duty lead is called' },
  no_entry: { zh: '无人开门（{reason}），约定 {next} 再来：是否同意工单等到那时？不同意则时限照走', en: 'Nobody opened ({reason}), the next visit is on {next}: may the work wait until then? Else its clock runs on' },
  nobody_opened: { zh: '已 {times} 次无人开门（{reason}）：请{unit}安排 {next} 入户', en: 'Nobody opened {times} times ({reason}): {unit} arranges the entry for {next}' },
  nobody_answered: { zh: '{of} 已呼叫 {n} 人，无人应答：请决定派谁去', en: '{of}: {n} were called and nobody answered: decide whom to send' },
  call_contact: { zh: '致电{of}的{role}，并记录接听人', en: 'Call the {role} of {of} and note who answered' },
  call_unit: { zh: '第 {tier} 级：{unit}{entry}，请致电并记录接听人', en: 'Tier {tier}: {unit} {entry}: call it and note who answered' },
  no_tier: { zh: '预案在第 {tier} 级之上没有更高一级：请决定呼叫谁', en: 'The plan has no tier above {tier}: decide whom to call' },
  no_unit: { zh: '第 {tier} 级：此处没有可派的单位（{kinds}），请联系并指派一个', en: 'Tier {tier}: no unit for this place ({kinds}): call one and assign it' },
  tier_suspect: { zh: '“{clock}”已到时，但探测器存疑：请呼叫，或说明为何不呼叫', en: '“{clock}” is due and the detector is suspect: call, or say why not' },
  overdue: { zh: '“{clock}”已超时：请代为处理', en: '“{clock}” is overdue: act for it' },
  fetch_lead: { zh: '请找到值班长：此警情无人接手', en: 'Fetch the duty lead: nobody has this alarm' },
  fetch_lead_unreachable: { zh: '请找到值班长：此警情无人接手，班表上无人可呼叫', en: 'Fetch the duty lead: nobody has this alarm, and nobody of the roster can be called' },
  ask_site: { zh: '传感器已无法判断，请向现场人员核实', en: 'The sensor cannot tell any more: ask a person on site' },
  sensor_unable: { zh: '传感器无法判断是否已处理：需要现场答复或照片', en: 'The sensor cannot tell whether it is done: want a word or a photo from the site' },
  confirm: { zh: '需要现场答复或照片才能结案', en: 'Want a word or a photo from the site to close it' },
  no_help: { zh: '{unit}不参与协办，建议由{proposed}协办', en: '{unit} does not help and proposes {proposed}' },
  returned: { zh: '请改派：{unit}建议{proposed}；对方接单前仍由{unit}负责', en: 'Assign another unit: {unit} proposes {proposed} and stays responsible until another accepts' },
  returned_often: { zh: '已退回 {times} 次，须由值班长指派：{unit}建议{proposed}；对方接单前仍由{unit}负责', en: 'Returned {times} times, a supervisor assigns it: {unit} proposes {proposed} and stays responsible until another accepts' },
  'entry.confirmed_only': { zh: '只接受已确认的火情', en: 'takes only confirmed fires' },
  'entry.operator': { zh: '由值班员呼叫', en: 'is called by the operator' },
  street: { zh: '街道', en: 'the street' },
  'and.street': { zh: '{unit}与街道', en: '{unit} and the street' },
  'seat.lead': { zh: '值班长', en: 'The duty lead' },
  or: { zh: '、', en: ', ' },
} as const
export const t = words(texts)
