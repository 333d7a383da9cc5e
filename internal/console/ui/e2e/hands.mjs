// A person without a mouse: Tab and Shift+Tab to what is wanted, arrows within lists, Enter and Space. What cannot be reached so fails.

/** Hands works a desk's page by keys alone. */
export class Hands {
  constructor(desk) {
    this.page = desk.page
    this.keys = desk.page.keyboard
  }

  /** to goes to a target by Tab, forwards or backwards as it lies. */
  async to(target) {
    const el = target.first()
    await el.waitFor()
    const where = () => el.evaluate((x) => {
      const now = document.activeElement
      if (now === x) return 'here'
      return x.compareDocumentPosition(now ?? document.body) & Node.DOCUMENT_POSITION_FOLLOWING ? 'Shift+Tab' : 'Tab'
    })
    let turns = 0
    for (let [n, before] = [0, '']; n < 150 && turns < 3; n++) {
      const now = await where()
      if (now === 'here') return
      if (before && now !== before) turns++ // it was passed over
      before = now
      await this.keys.press(now)
    }
    throw new Error(`${target} is not reached by Tab`)
  }

  /** press goes there and presses Enter, or Space on what is chosen by it. */
  async press(target, key = 'Enter') {
    await this.to(target)
    await this.keys.press(key)
  }

  /** write goes to a field, and types in the place of what it holds. */
  async write(field, text) {
    await this.to(field)
    await this.keys.press('Control+a')
    await this.keys.type(text)
  }

  /** when types a time into a field of the browser's own, whose parts stand in the order of the browser's language. */
  async when(field, at) {
    const [year, month, day, hour, minute] = at.match(/\d+/g)
    const noon = [String(hour % 12 || 12).padStart(2, '0'), minute, hour < 12 ? 'A' : 'P']
    for (const parts of [[month, day, year, ...noon], [year, month, day, hour, minute], [day, month, year, hour, minute]]) {
      await this.to(field)
      await this.keys.press('Shift+Tab')
      await this.keys.press('Tab') // its first part
      for (const part of parts) {
        await this.keys.type(part)
        if (part === year) await this.keys.press('ArrowRight') // a year may be longer
      }
      if ((await field.first().inputValue()) === `${year}-${month}-${day}T${hour}:${minute}`) return
    }
    throw new Error(`${field} holds ${await field.first().inputValue()} and not ${at}`)
  }

  /** choose has a list's arrows come to a value. */
  async choose(list, value) {
    await this.to(list)
    await this.keys.press('Home')
    for (let n = await list.first().locator('option').count(); n > 0 && (await list.first().inputValue()) !== value; n--) await this.keys.press('ArrowDown')
    if ((await list.first().inputValue()) !== value) throw new Error(`${list} does not come to ${value} by arrows`)
  }

  /** tab goes to a row of tabs and by arrows to one of them. */
  async tab(list, name) {
    await this.to(list.locator('[role=tab][tabindex="0"]'))
    for (let n = await list.locator('[role=tab]').count(); n > 0; n--) {
      if (name.test((await this.page.evaluate(() => document.activeElement.textContent)) ?? '')) return
      await this.keys.press('ArrowRight')
    }
    throw new Error(`no tab ${name} by arrows`)
  }

  /** row goes to a table and by arrows to a row that says so, and opens it. */
  async row(grid, text) {
    await this.to(grid)
    for (let n = 0; n < 50; n++) {
      await this.keys.press(n === 0 ? 'Home' : 'ArrowDown')
      if (((await grid.first().locator('.row.at').textContent().catch(() => '')) ?? '').includes(text)) return this.keys.press('Enter')
    }
    throw new Error(`no row ${text} by arrows`)
  }

  /** file goes to a file's field, opens the browser's own window by a key, and gives it a file. */
  async file(field, file) {
    await this.to(field)
    const [chooser] = await Promise.all([this.page.waitForEvent('filechooser'), this.keys.press('Space')])
    await chooser.setFiles(file)
  }
}

/** table does deeds one after the other, and says which failed: [what, do it, until this holds]. */
export async function table(deeds, until) {
  const failed = []
  for (const [what, deed, holds] of deeds) {
    try {
      await deed()
      if (holds) await until(what, holds)
    } catch (err) {
      failed.push(`${what}: ${err.message.split('\n').slice(0, 3).join(' ')}`)
    }
  }
  return failed
}
