import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { phoneLang, setLang, type Lang } from '../lib/i18n.svelte'
import { setting } from '../lib/db'

const kept = await setting<Lang>('lang').catch(() => undefined)
setLang(kept ?? phoneLang())
const theme = await setting<string>('theme').catch(() => undefined)
if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
mount(App, { target: document.getElementById('app')! })
