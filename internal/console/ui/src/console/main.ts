import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { start } from './live.svelte'
import { hearOthers, me, resume } from './session.svelte'
import { begin, wall } from './settings.svelte'

begin()
addEventListener('storage', hearOthers)
if (me()) start()
else if (!wall) void resume().then((on) => on && start())
mount(App, { target: document.getElementById('app')! })
