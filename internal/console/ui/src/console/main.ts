import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { start } from './live.svelte'
import { me } from './session.svelte'
import { begin } from './settings.svelte'

begin()
if (me()) start()
mount(App, { target: document.getElementById('app')! })
