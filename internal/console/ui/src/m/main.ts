import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { setting } from '../lib/db'
import { phoneLang, setLang, type Lang } from '../lib/i18n.svelte'
import { setTheme, type Theme } from './look.svelte'
import { startBuildings } from './buildings.svelte'
import { me, startNet } from './net.svelte'
import { loadPack, packState } from './pack'
import { startQueue } from './queue.svelte'
import { startUpdates } from './update.svelte'

// What is kept on the phone comes before the first screen, what the server says after it.
const [lang, theme] = await Promise.all([setting<Lang>('lang'), setting<Theme>('theme')]).catch(() => [])
setLang(lang ?? phoneLang())
setTheme(theme ?? 'auto')
await startNet()
await startQueue()
await startBuildings()
mount(App, { target: document.getElementById('app')! })
void startUpdates()
if (me() && !(await packState())) void loadPack().catch(() => undefined) // Me shows how old it is
