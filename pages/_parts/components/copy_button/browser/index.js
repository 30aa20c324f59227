// A button that copies, and says what came of it.

const SAID = 4000; // ms that the answer stays
const buttons = new WeakMap();
const ICON = '<svg viewBox="0 0 20 20" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.7" ' +
  'stroke-linecap="round" aria-hidden="true"><path d="M8.5 11.5l3-3M7 9l-2.2 2.2a2.8 2.8 0 0 0 4 4L11 13M13 11l2.2-2.2a2.8 2.8 0 0 0-4-4L9 7"/></svg>';

class CopyButton {
  constructor(root) {
    this.root = root;
    this.button = Object.assign(document.createElement("button"), { type: "button", className: "cb-button" });
    this.label = document.createElement("span");
    this.button.innerHTML = ICON;
    this.button.append(this.label);
    this.answer = Object.assign(document.createElement("div"), { className: "cb-answer", hidden: true });
    this.answer.setAttribute("role", "status");
    this.button.onclick = () => this.copy();
    root.append(this.button, this.answer);
  }

  update(data) {
    this.data = data;
    this.button.title = data.about;
    if (!this.waiting) this.label.textContent = data.label;
  }

  async copy() {
    const { text, problem } = this.data;
    if (problem) return this.show(problem);
    try {
      await navigator.clipboard.writeText(text); // only on https and on this machine, and if the visitor lets it
      this.say("Link copied");
    } catch {
      this.field(text);
    }
  }

  say(words) {
    clearTimeout(this.waiting);
    this.answer.hidden = true;
    this.label.textContent = words;
    this.waiting = setTimeout(() => {
      this.waiting = null;
      this.label.textContent = this.data.label;
    }, SAID);
  }

  show(...parts) {
    this.answer.replaceChildren(...parts);
    this.answer.hidden = false;
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => (this.answer.hidden = true), 5 * SAID);
  }

  field(text) {
    const field = Object.assign(document.createElement("input"), { value: text, readOnly: true });
    field.setAttribute("aria-label", "Link");
    this.show("The browser does not let this page copy. Press Ctrl+C: ", field);
    field.focus();
    field.select();
    if (document.execCommand?.("copy")) this.say("Link copied");
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".cb");
  const button = buttons.get(root) ?? new CopyButton(root);
  buttons.set(root, button);
  button.update(data);
}
