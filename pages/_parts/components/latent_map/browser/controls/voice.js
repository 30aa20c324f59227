// What the map says to the visitor: that it loads, that the page is at work, how the wheel is used.

const BUSY_DELAY = 200; // ms without an answer before the map says that the page is at work
const HINT = 1800; // ms

export class Voice {
  constructor(parent) {
    const make = (className, role) => {
      const element = Object.assign(document.createElement("div"), { className, hidden: true });
      element.setAttribute("role", role);
      parent.append(element);
      return element;
    };
    this.message = make("lm-message", "alert");
    this.hinted = make("lm-hint", "note");
    this.busy = make("lm-busy", "status");
  }

  say(text) { this.put(this.message, text); }

  /** The page was asked; if its answer takes a while, say so. */
  asked() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.put(this.busy, "Working …"), BUSY_DELAY);
  }

  answered() {
    clearTimeout(this.waiting);
    this.put(this.busy, "");
  }

  hint(text) {
    clearTimeout(this.hinting);
    this.put(this.hinted, text);
    if (text) this.hinting = setTimeout(() => this.hint(""), HINT);
  }

  put(element, text) {
    element.textContent = text;
    element.hidden = !text;
  }

  end() {
    clearTimeout(this.waiting);
    clearTimeout(this.hinting);
  }
}
