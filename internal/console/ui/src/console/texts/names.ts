import { say, type Both } from '../../lib/words.svelte'

const b = (zh: string, en: string): Both => ({ zh, en })

/** What the server's codes are called. A code that is not here is shown as it is. */
export const names = {
  /** Types of events, alarms and tickets. */
  type: {
    'smoke.alarm': b('烟感报警', 'Smoke alarm'), 'smoke.confirmed': b('火情确认', 'Smoke confirmed'), 'smoke.late': b('迟到的烟感报警', 'Late smoke alarm'),
    'safety.unreadable': b('烟感报文无法解析', 'Smoke detector cannot be read'), 'smoke.suspect': b('烟感频繁误报', 'Smoke detector suspect'), 'smoke.fault': b('烟感故障', 'Smoke detector fault'),
    'manhole.open': b('井盖开启或缺失', 'Manhole cover open or missing'), 'manhole.tilted': b('井盖倾斜', 'Manhole cover tilted'), 'manhole.flooded': b('井内水位过高', 'Water high in manhole'),
    'parking.overstay': b('车辆超时停放', 'Vehicle overstays'), 'parking.fire_lane_blocked': b('消防通道被占', 'Fire lane blocked'),
    'door.held_open': b('门长时间未关', 'Door held open'), 'door.forced': b('门被强开', 'Door forced'), 'fire_door.open': b('防火门未关闭', 'Fire door open'),
    'device.tamper': b('设备被拆动', 'Device tampered with'), 'device.stolen': b('设备疑似被盗', 'Device probably stolen'), 'device.barred': b('已停用设备仍在上报', 'Barred device still speaks'),
    'device.offline': b('设备离线', 'Device offline'), 'device.battery_low': b('电池电量低', 'Battery low'), 'gateway.silent': b('网关或链路无信号', 'Gateway or line silent'),
    'protection.lost': b('建筑失去烟感保护', 'Building without smoke detection'), 'unit.unreachable': b('处置单位联络不上', 'Unit cannot be reached'), 'influx.gap': b('时序库写入缺口', 'Readings not yet in InfluxDB'),
    'hotspot.listed': b('列入重点区域', 'Hot-spot listed'), test: b('测试按键', 'Test button pressed'), 'commissioning.pending': b('调试待验证', 'Commissioning not proven'),
  } as Record<string, Both>,
  /** Kinds of points. */
  kind: {
    smoke: b('烟感', 'Smoke detector'), manhole: b('井盖', 'Manhole'), door: b('门', 'Door'), fire_door: b('防火门', 'Fire door'), parking: b('车位', 'Parking bay'),
    fire_lane: b('消防通道', 'Fire lane'), gateway: b('网关', 'Gateway'),
  } as Record<string, Both>,
  /** States of alarms after ISA-18.2. */
  alarm: {
    UNACK: b('未确认', 'Unacknowledged'), ACK: b('已确认', 'Acknowledged'), RTN_UNACK: b('已恢复未确认', 'Returned, unacknowledged'),
    LATCHED_RTN: b('已恢复待确认', 'Latched, returned'), NORMAL: b('正常', 'Normal'),
  } as Record<string, Both>,
  /** States of tickets and assignments. */
  ticket: {
    reported: b('已上报', 'Reported'), verifying: b('核实中', 'Verifying'), filed: b('已立案', 'Filed'), dispatched: b('已派遣', 'Dispatched'), accepted: b('已接单', 'Accepted'),
    in_progress: b('处理中', 'In progress'), suspended: b('已挂起', 'Suspended'), returned: b('已退回', 'Returned'), resolved: b('已处理', 'Resolved'), checking: b('核查中', 'Checking'),
    rework: b('返工', 'Rework'), closed: b('已结案', 'Closed'), not_filed: b('不予立案', 'Not filed'), merged: b('已合并', 'Merged'), cancelled: b('已取消', 'Cancelled'), forced_close: b('强制结案', 'Forced close'),
  } as Record<string, Both>,
  verification: { unverified: b('未核实', 'Unverified'), true: b('属实', 'True'), false: b('误报', 'False alarm'), unable: b('无法核实', 'Unable to verify') } as Record<string, Both>,
  /** Time limits of tickets. */
  clock: {
    verify: b('核实', 'Verify'), dispatch: b('派遣', 'Dispatch'), accept: b('接单', 'Accept'), arrive: b('到场', 'Arrive'), handle: b('处理', 'Handle'), check: b('核查', 'Check'),
    total: b('总时限', 'Total'), tier3: b('升级消防', 'To tier 3'),
  } as Record<string, Both>,
  delivery: {
    pending: b('待发送', 'Pending'), sent: b('已发出', 'Sent'), received: b('已接收', 'Received'), seen_by_person: b('有人看到', 'Seen by a person'), dead: b('发送失败', 'Given up'),
    withheld: b('不外发', 'Withheld'), held: b('待汇总', 'Held for digest'), digested: b('已汇总', 'In a digest'),
  } as Record<string, Both>,
  unit: {
    fire: b('消防', 'Fire brigade'), micro_fire_station: b('微型消防站', 'Micro fire station'), urban_management: b('城管', 'Urban management'), utility: b('公用事业', 'Utility'),
    property: b('物业', 'Property'), residents_committee: b('居委会', "Residents' committee"), maintenance: b('维保', 'Maintenance'), operator: b('运行中心', 'Operations centre'), channel: b('备用渠道', 'Other channel'),
  } as Record<string, Both>,
  tier: { 0: b('设备', 'Device'), 1: b('自救', 'Self-help'), 2: b('互助', 'Mutual help'), 3: b('公共救援', 'Public rescue'), 4: b('区级指挥', 'District command') } as Record<string, Both>,
  mode: { live: b('实战', 'Live'), test: b('测试', 'Test'), exercise: b('演练', 'Exercise'), simulated: b('模拟', 'Simulated') } as Record<string, Both>,
  posture: {
    normal: b('正常', 'Normal'), festival: b('节日', 'Festival'), typhoon: b('台风', 'Typhoon'), heavy_rain: b('暴雨', 'Heavy rain'), cold_wave: b('寒潮', 'Cold wave'),
  } as Record<string, Both>,
  window: {
    commissioning: b('安装调试', 'Commissioning'), maintenance: b('维护', 'Maintenance'), permit: b('作业许可', 'Permit'), shelved: b('搁置', 'Shelved'), out_of_service: b('停用', 'Out of service'), exercise: b('演练', 'Exercise'),
  } as Record<string, Both>,
  role: {
    viewer: b('查看者', 'Viewer'), operator: b('值班员', 'Operator'), supervisor: b('值班长', 'Supervisor'), technician: b('技术员', 'Technician'), unit: b('处置单位', 'Unit'), admin: b('管理员', 'Administrator'), standby: b('备机', 'Standby'),
    system: b('系统', 'System'), sensor: b('传感器', 'Sensor'), clock: b('时钟', 'Clock'), user: b('用户', 'User'),
  } as Record<string, Both>,
  /** What a contact is to a place or unit. */
  contact: {
    occupant: b('住户', 'occupant'), neighbour: b('邻居', 'neighbour'), key_holder: b('钥匙保管人', 'key holder'), duty_phone: b('值班电话', 'duty phone'),
  } as Record<string, Both>,
  lane: { safety: b('安全通道', 'Safety lane'), bulk: b('普通通道', 'Bulk lane'), routine: b('普通通道', 'Routine lane') } as Record<string, Both>,
  outcome: { processed: b('已处理', 'Processed'), duplicate: b('重复', 'Duplicate'), ignored: b('忽略', 'Ignored'), quarantined: b('隔离', 'Quarantined'), discarded: b('丢弃', 'Discarded'), waiting: b('待处理', 'Waiting') } as Record<string, Both>,
  /** What stands at the other end of a link. */
  link: {
    broker: b('消息服务器', 'Broker'), embedded: b('内置消息服务器', 'Embedded broker'), port: b('串口', 'Serial port'), listener: b('监听端口', 'Listener'), client: b('客户端', 'Client'),
    slave: b('从站', 'Slave'), transmitter: b('传输装置', 'Transmitter'), coap: b('CoAP 终端', 'CoAP peer'), connection: b('连接', 'Connection'), lwm2m: b('LwM2M 终端', 'LwM2M device'),
  } as Record<string, Both>,
}

/** name words a code: name('type', 'smoke.alarm'). */
export function name(of: keyof typeof names, code: string | number | undefined): string {
  const both = code === undefined ? undefined : names[of][String(code)]
  return both ? say(both) : String(code ?? '')
}

/** iconOf is the picture of a point's kind or an event's type. */
export function iconOf(code: string): string {
  const head = code.split('.')[0]!
  return { smoke: 'smoke', safety: 'smoke', manhole: 'manhole', door: 'door', fire_door: 'door', parking: 'parking', fire_lane: 'parking', device: 'devices', gateway: 'online', protection: 'shield', unit: 'units' }[head] ?? 'points'
}
