// The same steps for a room: one a screen, in large type, driven by keys, a remote, a click or by itself.
import { button, element, MARKS, pictureOf, relabel, withSubscripts } from "./elements.js";
import { Player } from "./player.js";
import { sketch } from "./sketch.js";

const NEXT = ["ArrowRight", "ArrowDown", "PageDown", " ", "Enter"];
const BACK = ["ArrowLeft", "ArrowUp", "PageUp", "Backspace"];
const HOW = "Right arrow, Page Down or a click: next. Left arrow or Page Up: back. P plays, B darkens, Escape leaves.";

export class Presentation {
  constructor(root, position, closed) {
    Object.assign(this, { root, position, closed, screen: 0 });
    this.player = new Player(
      {
        at: () => this.screen,
        last: () => this.last(),
        whole: () => this.isWhole(),
        move: (to) => this.go(to),
      },
      () => this.showPlayer(),
    );
  }

  get isOpen() {
    return Boolean(this.dialog);
  }

  isWhole() {
    return this.data.frames.length === this.data.total;
  }

  /** The title is screen 0, the steps follow, and once all are there a summary. */
  last() {
    return this.data.frames.length + (this.isWhole() ? 1 : 0);
  }

  update(data) {
    this.data = data;
    if (!this.isOpen) return;
    if (data.walk !== this.walk) this.close();
    else this.draw();
  }

  async open() {
    this.walk = this.data.walk;
    this.stopped = new AbortController();
    const { signal } = this.stopped;
    try {
      await document.documentElement.requestFullscreen();
    } catch {
      // A browser may refuse; the window is then the screen.
    }
    if (this.isOpen || signal.aborted) return;
    this.dialog = element("dialog", "fs-show", { "aria-label": `Presentation: ${this.data.talk.title}` });
    this.page = element("div", "fs-page", { "aria-live": "polite", tabindex: "-1", autofocus: "" });
    this.playing = button("play", "", () => this.player.toggle());
    const controls = element("div", "fs-controls");
    this.count = element("span", "fs-count");
    controls.append(
      button("back", "Back (left arrow, Page Up)", () => this.step(-1)),
      this.playing,
      button("next", "Next (right arrow, Page Down)", () => this.step(1)),
      this.count,
      button("leave", "Leave (Escape)", () => this.close()),
    );
    this.dialog.append(this.page, controls);
    this.root.append(this.dialog);
    this.dialog.showModal();
    this.dialog.addEventListener("cancel", () => this.close(), { signal });
    // After a click on a button, keys go to the pages again; who came there by Tab stays there.
    controls.addEventListener("click", (event) => event.detail && this.page.focus(), { signal });
    this.page.addEventListener("click", () => this.step(1), { signal });
    window.addEventListener("keydown", (event) => this.key(event), { signal, capture: true });
    document.addEventListener("fullscreenchange", () => document.fullscreenElement || this.close(), { signal });
    this.position.hush(true);
    this.screen = this.position.at === 0 ? 0 : this.position.at + 1;
    this.draw();
    this.showPlayer();
  }

  close() {
    if (!this.isOpen) return;
    this.player.stop();
    this.stopped.abort();
    this.dialog.remove();
    this.dialog = null;
    if (document.fullscreenElement === document.documentElement) document.exitFullscreen();
    this.position.hush(false);
    this.closed();
  }

  end() {
    this.stopped?.abort();
    this.player.stop();
    if (this.isOpen && document.fullscreenElement === document.documentElement) document.exitFullscreen();
    this.dialog?.remove();
    this.dialog = null;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.composedPath()[0];
    const onButton = on instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter");
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    event.stopPropagation(); // the page below has keys of its own
    if (onButton || name === "Tab") return;
    if (NEXT.includes(name)) this.step(1);
    else if (BACK.includes(name)) this.step(-1);
    else if (name === "Home") this.jump(0);
    else if (name === "End") this.jump(this.last());
    else if (name === "p") this.player.toggle();
    else if (name === "b" || name === ".") this.dialog.classList.toggle("fs-dark");
    else if (name === "Escape") this.close();
    else if (name !== "F5") return; // which a remote sends to begin; here it would load the page anew
    event.preventDefault();
  }

  step(by) {
    this.jump(this.screen + by);
  }

  jump(to) {
    this.player.stop();
    this.go(to);
  }

  go(to) {
    this.dialog.classList.remove("fs-dark");
    this.screen = Math.max(0, Math.min(this.last(), to));
    const { frames } = this.data;
    if (frames.length) this.position.move(Math.max(0, Math.min(frames.length, this.screen) - 1));
    this.draw();
  }

  draw() {
    const { frames, total, talk } = this.data, { screen } = this;
    const place = screen > frames.length ? "summary" : screen === 0 ? "title" : `step ${screen} of ${total}`;
    this.count.textContent = place;
    const made =
      screen === 0 ? titlePage(talk) : screen > frames.length ? lastPage(talk, frames) : stepPage(frames[screen - 1], screen, total);
    this.page.className = `fs-page fs-${screen === 0 ? "first" : screen > frames.length ? "last" : "one"}`;
    this.page.replaceChildren(...made);
    const canvas = this.page.querySelector("canvas");
    if (canvas) sketch(canvas, talk.sketch, screen > 0 && screen <= frames.length ? screen - 1 : null);
  }

  showPlayer() {
    if (!this.isOpen) return;
    const { plays } = this.player;
    relabel(this.playing, plays ? "pause" : "play", plays ? "Pause (P)" : "Play (P)");
  }
}

function titlePage(talk) {
  return [
    element("h1", "fs-heading", {}, talk.title),
    element("p", "fs-lead", {}, talk.lead),
    element("canvas", "fs-map", { role: "img", "aria-label": "Where the journey lies on the map" }),
    element("p", "fs-how", {}, HOW),
  ];
}

function stepPage(frame, number, total) {
  const left = element("div", "fs-stage"), right = element("div", "fs-words");
  if (frame.picture) left.append(pictureOf(frame, "fs-large"));
  else left.append(element("p", "fs-nothing", {}, frame.title ? "" : "No material"));
  const formula = element("h1", "fs-formula");
  formula.append(...withSubscripts(frame.title || "—"));
  if (!frame.picture && frame.title) left.replaceChildren(formula);
  else right.append(formula);
  const lights = element("ul", "fs-answers");
  for (const [name, answer, , , said] of frame.lights) {
    const line = element("li", `fs-answer fs-${answer}`);
    line.append(element("span", "fs-mark", { "aria-hidden": "true" }, MARKS[answer]));
    line.append(element("span", "", {}, name));
    if (said) line.append(element("strong", "", {}, said)); // "Decodes decodes" says nothing more
    lights.append(line);
  }
  const caption = [`Step ${number} of ${total}`, frame.tag, frame.about].filter(Boolean).join(" · ");
  right.prepend(element("p", "fs-caption", {}, caption));
  right.append(element("p", "fs-verdict", {}, frame.verdict), lights);
  right.append(element("canvas", "fs-map", { role: "img", "aria-label": `Step ${number} on the map` }));
  return [left, right];
}

function lastPage(talk, frames) {
  const list = element("ul", "fs-summary"), row = element("div", "fs-row");
  for (const line of talk.summary) list.append(element("li", "", {}, line));
  for (const frame of frames) {
    const one = element("figure", "fs-small"), name = element("figcaption");
    name.append(...withSubscripts(frame.title || "—"));
    if (frame.picture) one.append(pictureOf(frame, "fs-thumb"));
    one.append(name);
    row.append(one);
  }
  return [element("h1", "fs-heading", {}, talk.title), row, list, element("p", "fs-closing", {}, talk.closing)];
}
