const MARKS = { yes: "✓", undecided: "?", no: "✕" };
const strips = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".fs");
  let strip = strips.get(root);
  if (!strip) strips.set(root, (strip = build(root)));
  strip.send = (number) => setTriggerValue("chosen", number);
  show(strip, data);
}

function build(root) {
  const list = element("div", "fs-list", { role: "listbox", "aria-label": "Steps", "aria-orientation": "horizontal" });
  root.replaceChildren(list);
  const strip = { list, cells: [], drawn: [], chosen: null, send: null };
  list.addEventListener("click", (event) => {
    const cell = event.target.closest(".fs-frame");
    if (cell) choose(strip, strip.cells.indexOf(cell));
  });
  list.addEventListener("keydown", (event) => {
    const at = strip.chosen ?? 0, last = strip.drawn.length - 1;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last, Enter: at, " ": at }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(strip, Math.max(0, Math.min(last, to)), true);
  });
  return strip;
}

function show(strip, data) {
  if (strip.cells.length !== data.total) {
    strip.cells = Array.from({ length: data.total }, () => element("div", "fs-frame", { role: "option" }));
    strip.drawn = [];
    strip.list.replaceChildren(...strip.cells);
    strip.list.scrollLeft = 0;
  }
  strip.cells.forEach((cell, i) => {
    const frame = data.frames[i], text = JSON.stringify(frame ?? null);
    if (strip.drawn[i] === text || (!frame && cell.classList.contains("fs-coming"))) return;
    draw(cell, frame, i);
    if (frame) strip.drawn[i] = text;
    else delete strip.drawn[i];
  });
  strip.drawn.length = data.frames.length;
  mark(strip, data.chosen);
}

function draw(cell, frame, i) {
  cell.className = "fs-frame" + (frame ? (frame.faded ? " fs-faded" : "") : " fs-coming");
  const head = element("div", "fs-head");
  head.append(element("span", "fs-number", {}, String(i + 1)), element("span", "fs-tag", {}, frame?.tag ?? ""));
  const body = element("div", "fs-body"), title = element("div", "fs-title");
  const lights = element("ul", "fs-lights");
  if (frame) {
    if (frame.picture) {
      const picture = element("img", "fs-picture", { alt: "", draggable: "false" });
      picture.src = "data:image/svg+xml;utf8," + encodeURIComponent(frame.picture);
      body.append(picture);
    } else body.append(element("div", "fs-plain", {}, frame.title ? "" : "no material"));
    title.append(...withSubscripts(frame.title || "—"));
    title.classList.toggle("fs-long", frame.title.length > 10);
    for (const [answer, word] of frame.lights) {
      const light = element("li", `fs-light fs-${answer}`);
      light.append(element("span", "fs-mark", { "aria-hidden": "true" }, MARKS[answer]), element("span", "", {}, word));
      lights.append(light);
    }
    cell.title = frame.note;
    cell.setAttribute("aria-label", `Step ${i + 1}: ${frame.title || "no material"}. ${frame.lights.map(([, word]) => word).join(", ")}`);
  } else {
    cell.title = "";
    cell.setAttribute("aria-label", `Step ${i + 1} is still to come`);
  }
  if (!frame || frame.picture || !frame.title) cell.replaceChildren(head, body, title, lights);
  else cell.replaceChildren(head, title, lights);
}

function mark(strip, chosen) {
  const moved = strip.chosen !== chosen;
  strip.chosen = chosen;
  strip.cells.forEach((cell, i) => {
    cell.setAttribute("aria-selected", String(i === chosen));
    cell.tabIndex = i === (chosen ?? 0) ? 0 : -1;
  });
  if (moved && chosen !== null) reveal(strip.list, strip.cells[chosen]);
}

// Only the strip itself may scroll, never the page.
function reveal(list, cell) {
  if (!cell) return;
  const left = cell.offsetLeft - list.offsetLeft, right = left + cell.offsetWidth;
  if (left < list.scrollLeft) list.scrollLeft = left - 8;
  else if (right > list.scrollLeft + list.clientWidth) list.scrollLeft = right - list.clientWidth + 8;
}

function choose(strip, number, focus = false) {
  if (!(number in strip.drawn)) return;
  mark(strip, number);
  if (focus) strip.cells[number].focus({ preventScroll: true });
  strip.send(number);
}

// "Fe2O3" with its numbers below the line, broken between elements alone.
function withSubscripts(formula) {
  return formula.split(/(?=[A-Z])/).map((symbol) => {
    const [, letters, number] = symbol.match(/^([^\d]*)([\d.]*)/);
    const whole = element("span", "fs-symbol", {}, letters);
    if (number) whole.append(element("sub", "", {}, number));
    return whole;
  });
}

function element(name, className, attributes = {}, text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}
