import type { Both } from '../../lib/both'

/** What is wrong in plain words, and what to do. */
export interface Fix {
  what: Both
  fix: Both
}

const rules: { part: RegExp; said?: RegExp; fix: Fix }[] = [
  {
    part: /^journal\./, said: /disk is nearly full|no space/i,
    fix: {
      what: { zh: '磁盘将满，普通报文已拒收；烟感仍在收。', en: 'The disk is nearly full: ordinary frames are refused, smoke is still taken.' },
      fix: { zh: '清理数据盘，或把 data_dir 移到更大的盘。腾出空间后自动恢复，设备会重发。', en: 'Free space on the data disk, or move data_dir to a larger one. It recovers by itself, and devices send again.' },
    },
  },
  {
    part: /^journal\./,
    fix: {
      what: { zh: '报文日志写不进磁盘，新报文得不到应答。', en: 'The journal cannot be written: new frames get no acknowledgement.' },
      fix: { zh: '检查数据盘的健康、权限与挂载（dmesg、df、ls -l）。修好后重启网关。', en: "Look at the data disk's health, permissions and mount (dmesg, df, ls -l). Restart the gateway once it is mended." },
    },
  },
  {
    part: /^influxdb$/, said: /401|unauthori|token/i,
    fix: {
      what: { zh: 'InfluxDB 不接受令牌，读数在本地排队。', en: 'InfluxDB does not take the token: readings queue here.' },
      fix: { zh: '核对 influx.token_file 的令牌及其对存储桶的写权限。', en: 'Look at the token in influx.token_file and whether it may write to the bucket.' },
    },
  },
  {
    part: /^influxdb$/, said: /404|not found/i,
    fix: {
      what: { zh: 'InfluxDB 中没有此存储桶或数据库，读数在本地排队。', en: 'The bucket or database is not there: readings queue here.' },
      fix: { zh: '按 influx.bucket 与 influx.org 创建，或改正配置。', en: 'Make it as influx.bucket and influx.org name it, or mend the configuration.' },
    },
  },
  {
    part: /^influxdb$/,
    fix: {
      what: { zh: '连不上 InfluxDB。告警与工单不受影响；读数在本地排队，恢复后补写。', en: 'InfluxDB does not answer. Alarms and tickets go on; readings queue here and are written when it is back.' },
      fix: { zh: '检查 InfluxDB 是否运行、influx.url 是否正确、网络与防火墙。留意下方队列大小。', en: 'Is InfluxDB running, is influx.url right, is the network open? Watch the size of the queue below.' },
    },
  },
  {
    part: /^clock$/,
    fix: {
      what: { zh: '本机时钟刚被调整过。', en: "The machine's clock was set." },
      fix: { zh: '检查校时服务（timedatectl、chronyc tracking）。告警与工单照常，此提示 10 分钟后消失。', en: 'Look at the time service (timedatectl, chronyc tracking). Alarms and tickets go on; this goes after 10 minutes.' },
    },
  },
  {
    part: /^engine$/,
    fix: {
      what: { zh: '处理引擎停住了。报文仍在收，但不出告警与工单。', en: 'The engine stands still. Frames are taken; there are no alarms and tickets.' },
      fix: { zh: '立即电话通知值班，改用人工值守；查看数据盘与日志，重启网关。', en: 'Tell the duty lead by telephone now, and watch by hand. Look at the data disk and the log; restart the gateway.' },
    },
  },
  {
    part: /^credentials$/,
    fix: {
      what: { zh: '部分设备凭据读不出，这些设备进不来。', en: 'Credentials of some devices cannot be read: these devices do not come in.' },
      fix: { zh: '核对 credentials.key_file 是否是保存凭据时的密钥；丢失时为这些设备重新生成凭据。', en: 'Is credentials.key_file the key under which they were kept? If it is lost, make these devices new credentials.' },
    },
  },
  {
    part: /^downlinks$/,
    fix: {
      what: { zh: '下行指令的结果记不下来。', en: 'What becomes of orders to devices cannot be recorded.' },
      fix: { zh: '多因状态库写不进磁盘：检查数据盘空间与权限。恢复后自动继续。', en: 'Mostly the state file cannot be written: look at space and permissions of the data disk. It goes on by itself.' },
    },
  },
  {
    part: /^serial\./, said: /permission|EACCES/i,
    fix: {
      what: { zh: '没有串口权限。', en: 'The gateway may not open the serial port.' },
      fix: { zh: '把运行网关的用户加入 dialout 组后重新登录：usermod -aG dialout 用户名。', en: 'Add the user that runs the gateway to the group dialout and log in again: usermod -aG dialout USER.' },
    },
  },
  {
    part: /^serial\./,
    fix: {
      what: { zh: '串口打不开，线上的设备听不到。', en: 'The serial port is not open: nothing behind it is heard.' },
      fix: { zh: '检查插头与电源，用 /dev/serial/by-id 核对端口名，看是否被别的程序占用。', en: 'Look at the plug and the power, check the name under /dev/serial/by-id, and whether another program holds it.' },
    },
  },
  {
    part: /^mqtt\./, said: /not authori[sz]ed|bad user|password|0x05|0x04/i,
    fix: {
      what: { zh: '消息服务器不接受用户名或密码。', en: 'The broker does not take the user name or password.' },
      fix: { zh: '核对该接入的 username、password_file 或客户端证书。', en: 'Look at username, password_file or the client certificate of this transport.' },
    },
  },
  {
    part: /^mqtt\./, said: /x509|certificate|tls/i,
    fix: {
      what: { zh: '与消息服务器的 TLS 证书校验失败。', en: "The broker's TLS certificate does not verify." },
      fix: { zh: '检查证书有效期、主机名、CA 文件，以及两端的时钟。', en: 'Look at its dates, its host name, the CA file, and the clocks of both.' },
    },
  },
  {
    part: /^mqtt\./,
    fix: {
      what: { zh: '连不上消息服务器，其后的设备听不到。', en: 'The broker is not reached: nothing behind it is heard.' },
      fix: { zh: '检查它是否运行、地址与端口、网络与防火墙。恢复后自动重连。', en: 'Is it running, are address and port right, is the network open? It connects again by itself.' },
    },
  },
  {
    part: /.*/, said: /address already in use|bind/i,
    fix: {
      what: { zh: '端口已被别的程序占用，没有监听。', en: 'Another program has the port: nothing listens there.' },
      fix: { zh: '用 ss -ltnup 找出占用者，停掉它或换一个端口。', en: 'Find it with ss -ltnup; stop it or take another port.' },
    },
  },
  {
    part: /.*/, said: /frames cannot be stored/i,
    fix: {
      what: { zh: '收到的报文存不进日志，未作应答。', en: 'Frames that come cannot be stored and are not acknowledged.' },
      fix: { zh: '先处理报文日志与磁盘的问题。', en: 'Mend the journal and the disk first.' },
    },
  },
  {
    part: /^(broker|coap|tcp|udp|gb26875)/,
    fix: {
      what: { zh: '没有在监听，设备连不进来。', en: 'It does not listen: devices cannot come in.' },
      fix: { zh: '核对监听地址、证书文件，看网关日志。', en: 'Look at the address to listen on, the certificate files, and the log of the gateway.' },
    },
  },
]

const other: Fix = {
  what: { zh: '此部分报告了问题。', en: 'This part reports a problem.' },
  fix: { zh: '原文在下方；查看网关日志中同一时间的记录。', en: 'Its own words are below; look at the log of the gateway of that time.' },
}

/** fixOf words a problem that the gateway names, and what a person can do about it. */
export function fixOf(part: string, said: string): Fix {
  return rules.find((r) => r.part.test(part) && (!r.said || r.said.test(said)))?.fix ?? other
}

/** partWords names a part of the gateway. */
export function partWords(part: string): Both {
  const [head = '', ...rest] = part.split('.')
  const tail = rest.join('.')
  const known: Record<string, Both> = {
    engine: { zh: '处理引擎', en: 'Engine' }, clock: { zh: '时钟', en: 'Clock' }, credentials: { zh: '设备凭据', en: 'Credentials' }, influxdb: { zh: 'InfluxDB', en: 'InfluxDB' }, broker: { zh: '内置消息服务器', en: 'Embedded broker' },
    audit: { zh: '审计', en: 'Audit' }, tls: { zh: '证书', en: 'Certificates' }, backup: { zh: '备份', en: 'Backup' }, traces: { zh: '追踪', en: 'Traces' },
    downlinks: { zh: '下行指令', en: 'Downlinks' }, 'journal.safety': { zh: '报文日志 · 安全通道', en: 'Journal · safety lane' }, 'journal.bulk': { zh: '报文日志 · 普通通道', en: 'Journal · bulk lane' },
    mqtt: { zh: `MQTT · ${tail}`, en: `MQTT · ${tail}` }, serial: { zh: `串口 · ${tail}`, en: `Serial · ${tail}` }, coap: { zh: `CoAP · ${tail}`, en: `CoAP · ${tail}` },
  }
  return known[part] ?? known[head] ?? { zh: part, en: part }
}
