// Plays frames one after the other: how fast, and whether it begins again at the end.

export const SPEEDS = { "slow": 3000, "medium": 1500, "fast": 700 }; // ms a frame

export class Player {
  /**
   * @param place `at`, `last` (of what is there), `whole` (whether more will come) and `move`, of whoever is played.
   * @param changed Called when it begins or ends.
   */
  constructor(place, changed) {
    Object.assign(this, { place, changed, speed: "medium", loops: false, timer: 0 });
  }

  get plays() {
    return Boolean(this.timer);
  }

  toggle() {
    if (this.plays) return this.stop();
    const { place } = this;
    if (place.at() >= place.last() && place.whole()) place.move(0);
    this.wait();
    this.changed();
  }

  wait() {
    this.timer = setTimeout(() => this.step(), SPEEDS[this.speed]);
  }

  step() {
    const { place } = this, at = place.at();
    if (at < place.last()) place.move(at + 1);
    else if (place.whole() && this.loops) place.move(0);
    else if (place.whole()) return this.stop();
    this.wait();
  }

  stop() {
    if (!this.plays) return;
    clearTimeout(this.timer);
    this.timer = 0;
    this.changed();
  }
}
