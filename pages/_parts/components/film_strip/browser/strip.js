// The strip: a bar to play and present, and below it the frames, one of them chosen.
import { button, element, MARKS, pictureOf, relabel, withSubscripts } from "./elements.js";
import { Player, SPEEDS } from "./player.js";
import { Position } from "./position.js";
import { Presentation } from "./presentation.js";

export class Strip {
  constructor(root) {
    this.cells = [];
    this.drawn = [];
    this.position = new Position((number) => this.send(number), () => this.mark());
    this.player = new Player(
      {
        at: () => this.position.at,
        last: () => this.drawn.length - 1,
        whole: () => this.drawn.length === this.data.total,
        move: (to) => this.position.move(to),
      },
      () => this.showPlayer(),
    );
    this.build(root);
    this.presentation = new Presentation(root, this.position, () => this.mark(true));
  }

  build(root) {
    const bar = element("div", "fs-bar", { role: "toolbar", "aria-label": "Play the steps" });
    this.playing = button("play", "", () => this.player.toggle());
    const back = button("back", "Step before (left arrow)", () => this.step(-1));
    const next = button("next", "Next step (right arrow)", () => this.step(1));
    this.speed = element("select", "fs-speed", { "aria-label": "Speed", title: "Speed" });
    for (const name of Object.keys(SPEEDS)) this.speed.append(element("option", "", { value: name }, name));
    this.speed.value = this.player.speed;
    this.speed.addEventListener("change", () => (this.player.speed = this.speed.value));
    this.loop = button("loop", "Begin again at the end", () => {
      this.player.loops = !this.player.loops;
      this.showPlayer();
    });
    this.where = element("span", "fs-where");
    const present = button("present", "Present on the whole screen: arrow keys or a remote, Escape leaves", () => this.present(), "Present");
    bar.append(back, this.playing, next, this.speed, this.loop, this.where, present);
    this.list = element("div", "fs-list", { role: "listbox", "aria-label": "Steps", "aria-orientation": "horizontal" });
    root.replaceChildren(bar, this.list);
    this.list.addEventListener("click", (event) => {
      const cell = event.target.closest(".fs-frame");
      if (cell) this.choose(this.cells.indexOf(cell));
    });
    this.list.addEventListener("keydown", (event) => this.key(event));
  }

  update(data, send) {
    this.send = send;
    const before = this.data?.walk;
    this.data = data;
    if (this.cells.length !== data.total || before !== data.walk) {
      this.player.stop();
      this.cells = Array.from({ length: data.total }, () => element("div", "fs-frame", { role: "option" }));
      this.drawn = [];
      this.list.replaceChildren(...this.cells);
      this.list.scrollLeft = 0;
    }
    this.cells.forEach((cell, i) => {
      const frame = data.frames[i], text = JSON.stringify(frame ?? null);
      if (this.drawn[i] === text || (!frame && cell.classList.contains("fs-coming"))) return;
      draw(cell, frame, i);
      if (frame) this.drawn[i] = text;
      else delete this.drawn[i];
    });
    this.drawn.length = data.frames.length;
    this.position.hear(data.walk, data.chosen);
    this.mark();
    this.showPlayer();
    this.presentation.update(data);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { at } = this.position, last = this.drawn.length - 1;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last, Enter: at }[event.key];
    if (to !== undefined) this.choose(Math.max(0, Math.min(last, to)), true);
    else if (event.key === " ") this.player.toggle();
    else return;
    event.preventDefault();
  }

  step(by) {
    this.choose(Math.max(0, Math.min(this.drawn.length - 1, this.position.at + by)));
  }

  choose(number, focus = false) {
    if (!(number in this.drawn)) return;
    this.player.stop();
    this.position.move(number);
    if (focus) this.cells[number].focus({ preventScroll: true });
  }

  present() {
    this.player.stop();
    this.presentation.open();
  }

  mark(focus = false) {
    const { at } = this.position, moved = this.marked !== at;
    this.marked = at;
    this.cells.forEach((cell, i) => {
      cell.setAttribute("aria-selected", String(i === at));
      cell.tabIndex = i === at ? 0 : -1;
    });
    this.where.textContent = `step ${at + 1} of ${this.cells.length}`;
    if (moved) reveal(this.list, this.cells[at]);
    if (focus) this.cells[at]?.focus({ preventScroll: true });
  }

  showPlayer() {
    const { plays, loops } = this.player;
    relabel(this.playing, plays ? "pause" : "play", plays ? "Pause (Space)" : "Play the steps (Space)");
    this.loop.setAttribute("aria-pressed", String(loops));
  }

  end() {
    this.ended = true;
    this.player.stop();
    this.position.end();
    this.presentation.end();
  }
}

function draw(cell, frame, i) {
  cell.className = "fs-frame" + (frame ? (frame.faded ? " fs-faded" : "") : " fs-coming");
  const head = element("div", "fs-head");
  head.append(element("span", "fs-number", {}, String(i + 1)), element("span", "fs-tag", {}, frame?.tag ?? ""));
  const body = element("div", "fs-body"), title = element("div", "fs-title");
  const lights = element("ul", "fs-lights");
  if (frame) {
    if (frame.picture) body.append(pictureOf(frame, "fs-picture"));
    else body.append(element("div", "fs-plain", {}, frame.title ? "" : "no material"));
    title.append(...withSubscripts(frame.title || "—"));
    title.classList.toggle("fs-long", frame.title.length > 10);
    for (const [, answer, word] of frame.lights) {
      const light = element("li", `fs-light fs-${answer}`);
      light.append(element("span", "fs-mark", { "aria-hidden": "true" }, MARKS[answer]), element("span", "fs-word", {}, word));
      lights.append(light);
    }
    cell.title = frame.lights.map(([name, , , reason]) => `${name}: ${reason}`).join("\n");
    const words = frame.lights.map(([, , word]) => word).join(", ");
    cell.setAttribute("aria-label", `Step ${i + 1}: ${frame.title || "no material"}. ${words}`);
  } else {
    cell.title = "";
    cell.setAttribute("aria-label", `Step ${i + 1} is still to come`);
  }
  if (!frame || frame.picture || !frame.title) cell.replaceChildren(head, body, title, lights);
  else cell.replaceChildren(head, title, lights);
}

// Only the strip itself may scroll, never the page.
function reveal(list, cell) {
  if (!cell) return;
  const left = cell.offsetLeft - list.offsetLeft, right = left + cell.offsetWidth;
  if (left < list.scrollLeft) list.scrollLeft = left - 8;
  else if (right > list.scrollLeft + list.clientWidth) list.scrollLeft = right - list.clientWidth + 8;
}
