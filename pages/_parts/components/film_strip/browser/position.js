// Where one is among the frames. The browser decides and the page follows: one message at a time, the newest last, so
// that quick keys are never undone by what the page still says of an earlier frame.

const REST = 150; // ms that the hand has rested before the page hears of it
const PATIENCE = 4000; // ms after which an answer is no longer waited for

export class Position {
  constructor(send, onMove) {
    Object.assign(this, { send, onMove, at: 0, awaited: null, walk: null, silent: false });
  }

  /** Take what the page says: the frame of a new journey, or an answer to what it was told. */
  hear(walk, chosen) {
    if (walk !== this.walk) {
      this.end();
      Object.assign(this, { walk, awaited: null, at: chosen });
      return;
    }
    if (this.awaited === null) {
      if (!this.silent && !this.resting) this.at = chosen;
    } else if (chosen === this.awaited) {
      this.awaited = null;
      if (this.at !== chosen) this.tell();
    }
  }

  move(to) {
    this.at = to;
    this.onMove();
    if (!this.silent) this.tell();
  }

  tell() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.resting = 0;
      const since = Date.now() - this.sent;
      if (this.awaited !== null && since < PATIENCE) {
        this.resting = setTimeout(() => this.tell(), PATIENCE - since);
        return;
      }
      Object.assign(this, { awaited: this.at, sent: Date.now() });
      this.send(this.at);
    }, REST);
  }

  /** While somebody presents, the page need not follow. */
  hush(silent) {
    this.silent = silent;
    if (!silent) this.tell();
  }

  end() {
    clearTimeout(this.resting);
    this.resting = 0;
  }
}
