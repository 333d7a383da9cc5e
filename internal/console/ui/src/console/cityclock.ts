/** What the server's clock shows, by ours: between two answers it runs at the city's speed. */
export class CityClock {
  private server = 0 // its time when ours was `desk`
  private desk = 0
  private speed = 1

  /** at is the server's time when ours is desk. */
  at(desk: number): number {
    return this.server + (desk - this.desk) * this.speed
  }

  /** hear takes what the server said when ours was desk, and reports whether its clock is another than was thought. A jump by the length of an answer would make every countdown jump with it. */
  hear(server: number, speed: number, desk: number): boolean {
    if (speed === this.speed && Math.abs(server - this.at(desk)) <= 1_000 * speed) return false
    this.server = server
    this.desk = desk
    this.speed = speed
    return true
  }
}
