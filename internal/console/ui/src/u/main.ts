import { mount } from 'svelte'
import '../lib/phone/app.css'
import { phoneLang, remembered, setTheme, type Theme } from '../lib/phone/look.svelte'
import { startNet } from '../lib/phone/net.svelte'
import { startQueue } from '../lib/phone/queue.svelte'
import { startUpdates } from '../lib/phone/update.svelte'
import { setLang, type Lang } from '../lib/words.svelte'
import App from './App.svelte'
import { startInbox } from './inbox.svelte'

// What is kept on the phone comes before the first screen, what the server says after it.
setLang(remembered<Lang>('lang') ?? phoneLang())
setTheme(remembered<Theme>('theme') ?? 'auto')
await startNet()
await startQueue()
await startInbox()
mount(App, { target: document.getElementById('app')! })
void startUpdates()
