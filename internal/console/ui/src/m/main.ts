import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { phoneLang, setLang, type Lang } from '../lib/i18n.svelte'
import { remembered, setTheme, type Theme } from './look.svelte'
import { startBuildings } from './buildings.svelte'
import { me, startNet } from './net.svelte'
import { loadPack, packState } from './pack'
import { startQueue } from './queue.svelte'
import { startUpdates } from './update.svelte'

// What is kept on the phone comes before the first screen, what the server says after it.
setLang(remembered<Lang>('lang') ?? phoneLang())
setTheme(remembered<Theme>('theme') ?? 'auto')
await startNet()
await startQueue()
await startBuildings()
mount(App, { target: document.getElementById('app')! })
void startUpdates()
if (me() && !(await packState())) void loadPack().catch(() => undefined) // Me shows how old it is
