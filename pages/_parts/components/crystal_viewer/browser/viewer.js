// The crystal viewer: toolbar, one stage with one WebGL context, legend, readout. 3Dmol draws, Python decides what.
import { bounded, gestures, looking, projection, shiftBy, startCamera, turnBy, unit } from "./camera.js";
import { Film } from "./film.js";
import { captionHeight, drawInk, written } from "./ink.js";
import { described } from "./png.js";
import { measured, Panel, STYLES } from "./panel.js";

const stroke = (path) =>
  `<svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${path}</svg>`;
const ICONS = {
  ball_and_stick: stroke('<circle cx="5.5" cy="14" r="3"/><circle cx="14.5" cy="6" r="3.6"/><path d="M7.8 11.9l3.9-3.4"/>'),
  space_filling: stroke('<circle cx="7.2" cy="12" r="5"/><circle cx="13.6" cy="7.4" r="4.4"/>'),
  stick: stroke('<path d="M3 16l6-6 2-7M9 10l8 3" stroke-width="2.4"/>'),
  polyhedra: stroke('<path d="M10 2l7 8-7 8-7-8zM3 10l5 2 9-2M8 12l2 6M8 12l2-10"/>'),
  images: stroke('<rect x="4" y="4" width="12" height="12"/><g fill="currentColor"><circle cx="4" cy="4" r="1.6"/><circle cx="16" cy="4" r="1.6"/><circle cx="4" cy="16" r="1.6"/><circle cx="16" cy="16" r="1.6"/></g>'),
  labels: stroke('<path d="M4 15l5-11 5 11M5.8 11h6.4M17 10v5"/>'),
  alike: stroke('<rect x="2.5" y="7" width="15" height="6" rx="1"/><path d="M6 7v2.5M10 7v3.5M14 7v2.5"/>'),
  spin: stroke('<path d="M16.5 10a6.5 6.5 0 1 1-2-4.7M16.8 2.6l-.4 3.4-3.4-.3"/>'),
  reset: stroke('<path d="M3 8V3h5M17 8V3h-5M3 12v5h5M17 12v5h-5"/><circle cx="10" cy="10" r="2"/>'),
  picture: stroke('<path d="M10 3v9M6.5 8.8L10 12.3l3.5-3.5M4 16.5h12"/>'),
  fullscreen: stroke('<path d="M7.5 3H3v4.5M12.5 3H17v4.5M3 12.5V17h4.5M17 12.5V17h-4.5"/>'),
};
const HELP =
  "Drag to turn, Shift and drag to move, click and then wheel to zoom. Keys: arrows turn, with Shift move, + and - zoom, R resets, " +
  "A B C look along an axis, 1 to 4 choose the style, I images, L labels, S one scale, Space spins, N steps to the next atom, Enter picks it, Escape clears.";

const libraries = new Map(); // address -> promise of the module
const remembered = new Map(); // widget key -> camera and look: they outlive a change of page

export class CrystalViewer {
  constructor(root) {
    this.root = root;
    this.stopped = new AbortController();
    this.picked = { panel: 0, rows: [] };
    this.hover = null;
    this.panels = [];
    this.viewers = [];
    root.innerHTML = `
      <div class="bar" role="toolbar" aria-label="Crystal viewer">
        <div class="group styles"></div><div class="group toggles"></div><div class="group axes"></div><div class="group actions"></div>
      </div>
      <div class="stage" tabindex="0" role="application" aria-roledescription="crystal structure viewer"><div class="gl"></div><canvas class="ink"></canvas><p class="hint" hidden>Click the picture, or hold Ctrl, to zoom with the wheel</p><p class="problem" role="alert" hidden></p></div>
      <div class="film" role="group" aria-label="Film" hidden></div><div class="foot"><div class="legend" role="group" aria-label="Elements"></div><p class="readout" aria-live="polite"></p></div>
      <p class="alternative"></p>`;
    this.part = Object.fromEntries([...root.querySelectorAll("[class]")].map((node) => [node.className.split(" ").pop(), node]));
  }

  /** Called for every run of the page; only what has changed is drawn again. */
  update(data, setStateValue) {
    this.setStateValue = setStateValue;
    const first = !this.data;
    const shown = this.data?.panels.map((panel) => panel.id).join();
    this.data = data;
    this.root.style.height = `${data.height}px`;
    this.part.alternative.textContent = data.text;
    this.part.stage.setAttribute("aria-label", `${data.text} ${HELP}`);
    if (first) this.begin();
    if (data.view && JSON.stringify(data.view) !== this.given) {
      this.given = JSON.stringify(data.view);
      this.take(data.view);
    }
    if (shown !== data.panels.map((panel) => panel.id).join()) {
      this.panels = data.panels.map(({ scene, caption, id }, index) => Object.assign(new Panel(scene), { caption, id, index }));
      this.picked = { panel: 0, rows: [] };
      this.hover = null;
      this.buildLegend();
    }
    this.film.update(data.film);
    this.refresh();
  }

  begin() {
    const kept = remembered.get(this.data.memory);
    this.camera = kept?.camera ?? startCamera();
    this.look = kept?.look ?? { style: this.data.style, images: true, labels: false, spin: false, alike: false, hidden: new Set() };
    remembered.set(this.data.memory, { camera: this.camera, look: this.look });
    this.buildBar();
    this.film = new Film(this);
    const { signal } = this.stopped;
    const heard = { changed: () => this.moved(), clicked: (e) => this.click(e), hovered: (e) => this.point(e), passedBy: () => this.sayWheel() };
    gestures(this.part.stage, this.camera, heard, signal);
    this.part.stage.addEventListener("keydown", (event) => this.key(event), { signal });
    // 3Dmol would rebuild a lost context on its own terms; one owner is enough.
    const lost = (event) => {
      event.stopImmediatePropagation();
      event.preventDefault();
      this.release();
      setTimeout(() => this.refresh(), 500);
    };
    this.part.gl.addEventListener("webglcontextlost", lost, { capture: true, signal });
    this.sizes = new ResizeObserver(() => this.refresh());
    this.sizes.observe(this.part.stage);
  }

  take(view) {
    Object.assign(this.camera, { q: unit(view.q), zoom: bounded(view.zoom), shift: view.shift });
    Object.assign(this.look, { style: view.style, images: view.images, labels: view.labels, alike: Boolean(view.alike), hidden: new Set(view.hidden) });
  }

  async load() {
    const address = this.data.library;
    if (!libraries.has(address)) libraries.set(address, import(new URL(address, document.baseURI).href));
    return libraries.get(address);
  }

  /** Size, colors and contents; builds the viewers when their number changes. */
  async refresh() {
    const [width, height] = [this.part.stage.clientWidth, this.part.stage.clientHeight];
    if (!width || !height || this.released) return;
    let library;
    try {
      library = await this.load();
    } catch {
      libraries.delete(this.data.library);
      return this.fail("3Dmol.js did not load, so structures cannot turn here; run: make install, then reload this page");
    }
    if (this.released) return;
    this.colors = this.readColors();
    const count = this.panels.length;
    const cols = count === 4 || (count > 1 && width < 560) ? Math.min(2, count) : count;
    const rows = Math.ceil(count / cols);
    if (this.viewers.length !== rows * cols || this.cols !== cols) {
      this.release();
      this.cols = cols;
      try {
        this.viewers = withoutListeners(() =>
          library.createViewerGrid(this.part.gl, { rows, cols, control_all: false }, { nomouse: true, backgroundColor: this.colors.ground }),
        ).flat();
        for (const viewer of this.viewers) {
          viewer.divwatcher?.disconnect(); // each would clear the canvas that all of them share
          viewer.intwatcher?.disconnect();
        }
      } catch (error) {
        console.warn(error);
        this.viewers = [];
      }
      if (!this.viewers.length || this.viewers[0].getRenderer().isLost()) {
        this.viewers = [];
        return this.fail("This browser offers no WebGL, so structures cannot turn here; a still picture is shown instead", true);
      }
    }
    this.part.problem.hidden = true;
    this.panels.forEach((panel, k) => {
      const frame = { width: width / cols, height: height / rows };
      panel.frame = { ...frame, x: (k % cols) * frame.width, y: Math.floor(k / cols) * frame.height };
    });
    for (const viewer of this.viewers) {
      viewer.resize();
      viewer.setBackgroundColor(this.colors.ground);
    }
    this.panels.forEach((panel, k) => panel.draw(this.viewers[k], this.look, this.colors));
    this.showState();
    this.render();
  }

  readColors() {
    const style = getComputedStyle(this.root);
    const value = (name, instead) => style.getPropertyValue(name).trim() || instead;
    const ground = value("--st-background-color", "#ffffff");
    const dark = luminance(ground) < 0.4;
    return {
      ground,
      text: value("--st-text-color", dark ? "#fafafa" : "#1a1d23"),
      muted: dark ? "#a9b0bb" : "#5c6470",
      border: dark ? "#3a404b" : "#d5d9e0",
      accent: dark ? "#ffb454" : "#6a1bd1",
      empty: dark ? "#4a525e" : "#eef1f4",
      cell: dark ? "#8f98a6" : "#5a626e",
      axes: dark ? ["#ff7b72", "#7ee787", "#79b8ff"] : ["#c62828", "#2e7d32", "#1559c0"],
      rim: (color) => mixed(color, dark ? "#ffffff" : "#101418", 0.45),
    };
  }

  render() {
    if (!this.viewers.length) return;
    const largest = Math.max(...this.panels.map((panel) => panel.radius));
    this.panels.forEach((panel, k) => {
      const radius = this.look.alike ? largest : panel.radius;
      const { view, place } = projection(this.camera, panel.frame, radius, captionHeight(panel));
      Object.assign(panel, { place, q: this.camera.q });
      this.viewers[k].setView(view(panel.center), true);
    });
    const ratio = Math.max(2, window.devicePixelRatio || 1);
    const { ink, stage } = this.part;
    const size = [Math.round(stage.clientWidth * ratio), Math.round(stage.clientHeight * ratio)];
    if (ink.width !== size[0] || ink.height !== size[1]) [ink.width, ink.height] = size;
    this.inkOn(ink.getContext("2d"), ratio, true);
  }

  inkOn(context, ratio, clear) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (clear) context.clearRect(0, 0, this.part.stage.clientWidth, this.part.stage.clientHeight);
    drawInk(context, this.panels, this.look, this.picked, clear ? this.hover : null, this.colors, getComputedStyle(this.root).fontFamily);
  }

  moved() {
    if (!this.pending) {
      this.pending = requestAnimationFrame(() => {
        this.pending = 0;
        this.render();
      });
    }
    this.report();
  }

  /** The view goes up only for those who asked (a link to this view), and only when the hand has rested. */
  report() {
    if (!this.data.report_view) return;
    clearTimeout(this.reporting);
    this.reporting = setTimeout(() => {
      const { q, zoom, shift } = this.camera;
      const { style, images, labels, alike, hidden } = this.look;
      const short = (x) => Math.round(x * 1e4) / 1e4;
      const view = { q: q.map(short), zoom: short(zoom), shift: shift.map(short), style, images, labels, alike, hidden: [...hidden] };
      if (JSON.stringify(view) === this.given) return;
      this.given = JSON.stringify(view);
      this.setStateValue("view", view);
    }, 600);
  }

  at(event) {
    const box = this.part.stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const panel = this.panels.find(({ frame: f }) => f && x >= f.x && x < f.x + f.width && y >= f.y && y < f.y + f.height);
    const atom = panel?.place ? panel.hit(x, y, panel.place) : null;
    return atom && { panel: panel.index, row: atom.row };
  }

  point(event) {
    const hover = event && this.at(event);
    if (hover?.row === this.hover?.row && hover?.panel === this.hover?.panel) return;
    this.hover = hover;
    this.part.stage.style.cursor = hover ? "pointer" : "grab";
    this.showReadout();
    this.render();
  }

  /** The page scrolls on; whoever meant to zoom is told how. */
  sayWheel() {
    const hint = this.part.hint;
    hint.hidden = false;
    clearTimeout(this.hinting);
    this.hinting = setTimeout(() => (hint.hidden = true), 1600);
  }

  click(event) {
    const hit = this.at(event);
    if (hit) this.pick(hit);
  }

  pick({ panel, row }) {
    const { rows } = this.picked;
    const again = panel === this.picked.panel && rows.includes(row);
    if (again) this.picked = { panel, rows: rows.filter((other) => other !== row) };
    else if (panel !== this.picked.panel || rows.length === 4) this.picked = { panel, rows: [row] };
    else this.picked = { panel, rows: [...rows, row] };
    this.tell();
  }

  clear() {
    if (!this.picked.rows.length) return;
    this.picked = { panel: this.picked.panel, rows: [] };
    this.tell();
  }

  tell() {
    const panel = this.panels[this.picked.panel];
    const atoms = this.picked.rows.map((row) => ({ site: panel.atoms[row].site, image: panel.atoms[row].image }));
    this.setStateValue("picks", atoms.length ? { panel: panel.id, atoms } : null);
    this.showReadout();
    this.render();
  }

  key(event) {
    const { camera, look } = this;
    const turns = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] };
    const act = {
      "+": () => (camera.zoom = bounded(camera.zoom * 1.15)),
      "=": () => (camera.zoom = bounded(camera.zoom * 1.15)),
      "-": () => (camera.zoom = bounded(camera.zoom / 1.15)),
      r: () => this.reset(),
      a: () => this.lookAlong(0),
      b: () => this.lookAlong(1),
      c: () => this.lookAlong(2),
      i: () => this.toggle("images"),
      l: () => this.toggle("labels"),
      s: () => this.panels.length > 1 && this.toggle("alike"),
      " ": () => this.toggle("spin"),
      Escape: () => this.clear(),
      n: () => this.step(),
      Enter: () => this.hover && this.pick(this.hover),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const style = Object.keys(STYLES)[Number(event.key) - 1];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (turns[event.key]) {
      const [x, y] = turns[event.key];
      if (event.shiftKey) shiftBy(camera, x / 200, -y / 200);
      else turnBy(camera, x, y);
    } else if (act) act();
    else if (style) this.set("style", style);
    else return;
    event.preventDefault();
    this.moved();
  }

  step() {
    const panel = this.panels[this.hover?.panel ?? 0];
    const rows = panel.atoms.filter((atom) => atom.drawn).map((atom) => atom.row);
    if (!rows.length) return;
    this.hover = { panel: panel.index, row: rows[(rows.indexOf(this.hover?.row) + 1) % rows.length] };
    this.showReadout();
  }

  reset() {
    Object.assign(this.camera, startCamera());
    this.moved();
  }

  lookAlong(axis) {
    const lattice = this.panels[0].scene.lattice;
    Object.assign(this.camera, { q: looking(lattice[axis], lattice[axis === 2 ? 1 : 2]), shift: [0, 0] });
    this.moved();
  }

  set(name, value) {
    this.look[name] = value;
    this.refresh();
    this.report();
  }

  toggle(name) {
    this.set(name, !this.look[name]);
  }

  spin() {
    if (!this.look.spin || this.released || this.turning) return;
    this.turning = requestAnimationFrame(() => {
      this.turning = 0;
      if (!document.hidden && this.look.spin) {
        turnBy(this.camera, 0.5, 0);
        this.render();
      }
      this.spin();
    });
  }

  buildBar() {
    const add = (group, name, title, content, act, toggles) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", title, innerHTML: content, onclick: act });
      button.setAttribute("aria-label", title);
      button.dataset.name = name;
      if (toggles) button.setAttribute("aria-pressed", "false");
      this.part[group].append(button);
    };
    Object.entries(STYLES).forEach(([name, title], k) =>
      add("styles", name, `${title} (${k + 1})`, ICONS[name], () => this.set("style", name), true),
    );
    add("toggles", "images", "Atoms repeated on the faces of the cell (I)", ICONS.images, () => this.toggle("images"), true);
    add("toggles", "labels", "Site labels (L)", ICONS.labels, () => this.toggle("labels"), true);
    add("toggles", "spin", "Turn slowly (Space)", ICONS.spin, () => this.toggle("spin"), true);
    add("toggles", "alike", "One scale: an Å is as long in each picture (S)", ICONS.alike, () => this.toggle("alike"), true);
    ["a", "b", "c"].forEach((name, k) => add("axes", `along-${name}`, `Look along ${name} (${name.toUpperCase()})`, `<i>${name}</i>`, () => this.lookAlong(k)));
    add("axes", "reset", "Reset the view (R)", ICONS.reset, () => this.reset());
    add("actions", "picture", "Save as PNG", ICONS.picture, () => this.savePicture());
    add("actions", "fullscreen", "Full screen", ICONS.fullscreen, () =>
      document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen(),
    );
  }

  buildLegend() {
    const elements = new Map();
    for (const { scene } of this.panels) for (const [symbol, entry] of Object.entries(scene.elements)) elements.set(symbol, entry);
    this.part.legend.replaceChildren(
      ...[...elements].map(([symbol, { color }]) => {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.dataset.element = symbol;
        const dot = document.createElement("span");
        dot.style.background = `radial-gradient(circle at 35% 30%, #fff, ${color} 45%, ${mixed(color, "#000000", 0.3)})`;
        chip.append(dot, symbol);
        chip.onclick = () => {
          const { hidden } = this.look;
          if (!hidden.delete(symbol)) hidden.add(symbol);
          this.set("hidden", hidden);
        };
        return chip;
      }),
    );
  }

  showState() {
    for (const button of this.part.bar.querySelectorAll("[aria-pressed]")) {
      const { name } = button.dataset;
      button.setAttribute("aria-pressed", String(name in STYLES ? this.look.style === name : this.look[name]));
    }
    this.part.bar.querySelector('[data-name="alike"]').hidden = this.panels.length < 2;
    const none = !this.panels.some((panel) => panel.scene.polyhedra.instances.length);
    const polyhedra = this.part.bar.querySelector('[data-name="polyhedra"]');
    polyhedra.disabled = none;
    polyhedra.title = none ? "No coordination polyhedra: no site with 4 or more bonds to more electronegative ones" : "Polyhedra (4)";
    for (const chip of this.part.legend.children) {
      const shown = !this.look.hidden.has(chip.dataset.element);
      chip.setAttribute("aria-pressed", String(shown));
      chip.title = `${shown ? "Hide" : "Show"} ${chip.dataset.element}`;
    }
    this.showReadout();
    this.spin();
  }

  showReadout() {
    const panel = this.panels[this.picked.panel];
    const name = ({ label, image }) => (image.some(Boolean) ? `${label} [${image.join(" ").replaceAll("-", "\u2212")}]` : label);
    const picked = this.picked.rows.map((row) => panel.atoms[row]);
    let text = picked.map(name).join(" \u2013 ");
    const result = picked.length > 1 ? measured(picked.map((atom) => atom.xyz)) : null;
    if (result) text = `${result.kind} ${text}: ${result.value === null ? "undefined, three atoms lie on a line" : written(result)}`;
    else if (picked.length) text = `${text}: pick another atom to measure`;
    const latest = this.picked.rows.at(-1) === this.hover?.row && this.picked.panel === this.hover?.panel;
    if (this.hover && !latest) {
      const atom = this.panels[this.hover.panel].atoms[this.hover.row];
      const found = name(atom) + (atom.species === atom.element ? "" : `, ${atom.species}`);
      text = picked.length ? `${text}  (${found})` : found;
    }
    this.part.readout.textContent = text || "Click 2 to 4 atoms to measure";
    this.part.readout.classList.toggle("strong", Boolean(result));
  }

  savePicture() {
    const { stage, gl } = this.part;
    this.render();
    const source = gl.querySelector("canvas");
    const picture = document.createElement("canvas");
    [picture.width, picture.height] = [source.width, source.height];
    const context = picture.getContext("2d");
    context.drawImage(source, 0, 0);
    this.inkOn(context, source.width / stage.clientWidth, false);
    const name = this.panels.map((panel) => panel.scene.formula.replace(/[^A-Za-z0-9.]/g, "")).join("-");
    picture.toBlob(async (blob) => {
      const link = document.createElement("a");
      const href = URL.createObjectURL(await described(blob, "Description", this.data.origin));
      Object.assign(link, { href, download: `${name || "structure"}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(href), 60_000);
    });
  }

  fail(message, tell) {
    this.part.problem.textContent = message;
    this.part.problem.hidden = false;
    if (tell && !this.told) this.setStateValue("problem", message);
    this.told = this.told || tell;
  }

  /** Give the WebGL context back: browsers allow few, and leaving a page frees none by itself. */
  release() {
    const canvas = this.part.gl.querySelector("canvas");
    canvas?.remove();
    for (const kind of ["webgl2", "webgl"]) canvas?.getContext(kind)?.getExtension("WEBGL_lose_context")?.loseContext();
    this.part.gl.replaceChildren();
    this.viewers = [];
  }

  end() {
    this.released = true;
    this.stopped.abort();
    this.film?.stop();
    this.sizes?.disconnect();
    clearTimeout(this.reporting);
    clearTimeout(this.hinting);
    cancelAnimationFrame(this.turning);
    cancelAnimationFrame(this.pending);
    this.release();
  }
}

/** 3Dmol 2.5.5 hangs listeners on body and window and never takes them off; we need none of them. */
function withoutListeners(make) {
  const held = [document.body, window].map((target) => [target, target.addEventListener]);
  for (const [target] of held) target.addEventListener = () => {};
  try {
    return make();
  } finally {
    for (const [target] of held) delete target.addEventListener;
  }
}

const channels = (color) => {
  const paint = document.createElement("canvas").getContext("2d");
  paint.fillStyle = color;
  paint.fillRect(0, 0, 1, 1);
  return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (color) => channels(color).reduce((sum, x, k) => sum + (x / 255) * [0.2126, 0.7152, 0.0722][k], 0);
const mixed = (color, other, share) => {
  const [a, b] = [channels(color), channels(other)];
  return `#${a.map((x, k) => Math.round(x * (1 - share) + b[k] * share).toString(16).padStart(2, "0")).join("")}`;
};
