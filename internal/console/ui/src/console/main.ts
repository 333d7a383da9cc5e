import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { start } from './live.svelte'
import { learn } from './refusals'
import { hearOthers, me, resume } from './session.svelte'
import { begin, wall } from './settings.svelte'

begin()
addEventListener('storage', hearOthers)
if (me()) start()
else if (!wall) void resume().then((on) => on && start())
void learn().catch(() => {}) // without them refusals are shown in the server's words
mount(App, { target: document.getElementById('app')! })
