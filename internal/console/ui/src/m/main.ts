import { mount } from 'svelte'
import '../lib/phone/app.css'
import App from './App.svelte'
import { setLang, type Lang } from './i18n'
import { phoneLang, remembered, setTheme, type Theme } from '../lib/phone/look.svelte'
import { startBuildings } from './buildings.svelte'
import { me, startNet } from '../lib/phone/net.svelte'
import { loadPack, packState } from './pack'
import { startQueue } from '../lib/phone/queue.svelte'
import { startUpdates } from '../lib/phone/update.svelte'

// What is kept on the phone comes before the first screen, what the server says after it.
setLang(remembered<Lang>('lang') ?? phoneLang())
setTheme(remembered<Theme>('theme') ?? 'auto')
await startNet()
await startQueue()
await startBuildings()
mount(App, { target: document.getElementById('app')! })
void startUpdates()
if (me() && !(await packState())) void loadPack().catch(() => undefined) // Me shows how old it is
