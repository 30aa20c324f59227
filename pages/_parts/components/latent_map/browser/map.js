// The map itself: holds what is shown and how, and joins drawing, pointing and the answers to the server.
import { fetchBuffer, HoverRows } from "./buffers.js";
import { MapCamera } from "./plane/camera.js";
import { CanvasRenderer } from "./drawing/canvas_renderer.js";
import { clamp, packPath, simplifyTo, unpackPath } from "./plane/geometry.js";
import { listen } from "./controls/gestures.js";
import { GLRenderer } from "./drawing/gl_renderer.js";
import { fly, keepInSight, keepInView } from "./plane/flight.js";
import { PointGrid } from "./plane/grid.js";
import { formatCount, Legend } from "./controls/legend.js";
import { drawOverlay } from "./drawing/overlay.js";
import { savePicture } from "./drawing/picture.js";
import { paletteOf, readTheme } from "./drawing/theme.js";
import { Toolbar } from "./controls/toolbar.js";
import { Tooltip } from "./controls/tooltip.js";
import { Voice } from "./controls/voice.js";

const MAX_VERTICES = 80; // of an outline: some 600 bytes on the way up
const REPORT_DELAY = 500; // ms of rest before the view is reported
const SETTLE_DELAY = 160; // ms of rest before all points are drawn again
const MOST_HITS = 300; // selected points that are marked large

// What outlives the page: each map, by its key, opens as it was left.
const memories = new Map();

/** Indices 0 to n - 1 in a fixed random order: classes mix fairly, and any first part is a fair sample. */
function shuffledIndices(n) {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let state = 0x9e3779b9;
  for (let i = n - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1), swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order;
}

export class LatentMap {
  constructor(root) {
    this.root = root;
    this.camera = new MapCamera();
    this.total = 0;
    this.hovered = -1;
    this.focus = null;
    this.off = new Set();
    this.hits = [];
    this.budget = 200000; // points drawn while the map moves; follows the machine's speed
    this.build();
    this.abort = new AbortController();
    listen(this, this.abort.signal);
    this.glCanvas.addEventListener("webglcontextrestored", () => this.restore(), { signal: this.abort.signal });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(root);
  }

  build() {
    const make = (tag, className, attributes = {}) => {
      const element = Object.assign(document.createElement(tag), { className });
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      this.root.append(element);
      return element;
    };
    this.glCanvas = make("canvas", "lm-layer lm-points", { "aria-hidden": "true" });
    this.overCanvas = make("canvas", "lm-layer", { "aria-hidden": "true" });
    this.stage = make("div", "lm-layer lm-stage", { tabindex: "0", role: "application", "aria-roledescription": "map" });
    this.axes = [make("div", "lm-axis lm-axis-x"), make("div", "lm-axis lm-axis-y")];
    this.status = make("div", "lm-status", { role: "status", "aria-live": "polite" });
    this.voice = new Voice(this.root);
    this.legend = new Legend(this.root, (code, alone) => this.toggle(code, alone));
    this.toolbar = new Toolbar(this.root, (name) => this.press(name));
    this.tooltip = new Tooltip(this.root);
    this.renderer = GLRenderer.create(this.glCanvas) ?? new CanvasRenderer(this.glCanvas);
    this.root.dataset.renderer = this.renderer.name;
  }

  /** Take what the server sends at each run; `send` has `trigger` and `state`. */
  update(data, send) {
    const before = this.data;
    this.data = data;
    this.send = send;
    this.theme = readTheme(this.root);
    this.memory = memories.get(data.id) ?? { tool: "pan", op: "new", names: true, density: null, off: {}, views: {}, reported: [] };
    memories.set(data.id, this.memory);
    if (!before) this.focus = this.memory.focus ?? null;
    this.voice.answered();
    const changed = !before || before.focus !== data.focus;
    if (changed) this.focus = data.focus ?? (before ? null : this.focus);
    this.seek = before && changed ? data.focus : null; // a point that was opened elsewhere has to be in view
    this.off = new Set(this.memory.off[data.coloring?.label]);
    this.root.style.setProperty("--lm-height", `${data.height}px`);
    this.axes.forEach((axis, i) => (axis.textContent = data.axisLabels[i] ?? ""));
    if (before?.hover?.url !== data.hover?.url) this.hoverRows = data.hover && new HoverRows(data.hover);
    this.load();
  }

  async load() {
    const { points, coloring, selected } = this.data, turn = (this.turn = (this.turn ?? 0) + 1);
    this.settled = false;
    this.root.dataset.state = "loading";
    if (!this.total) this.voice.say(`Loading ${formatCount(points.n)} ${this.data.noun} …`);
    let buffers;
    try {
      buffers = await Promise.all([points, coloring, selected].map((part) => part && fetchBuffer(part.url)));
    } catch (error) {
      if (turn === this.turn) this.voice.say(`The map's data did not arrive (${error.message}). Reload the page.`);
      return;
    }
    // A later run may have overtaken this one, or the page may be gone.
    if (turn !== this.turn || this.disposed) return;
    const [xy, codes, bits] = buffers;
    this.pendingOutline = null;
    this.setPoints(points, new Float32Array(xy));
    this.setStyles(codes && new Uint8Array(codes), bits && new Uint8Array(bits));
    this.refresh();
    this.aim();
    this.voice.say("");
    this.settled = true;
    this.draw();
  }

  setPoints(points, xy) {
    if (this.points?.url === points.url) return;
    this.points = points;
    this.xy = xy;
    this.total = points.n;
    this.grid = new PointGrid(xy);
    this.order = shuffledIndices(points.n);
    this.hovered = -1;
    this.styledBy = null;
    const drawn = new Float32Array(xy.length);
    this.order.forEach((i, k) => {
      drawn[2 * k] = xy[2 * i];
      drawn[2 * k + 1] = xy[2 * i + 1];
    });
    this.drawnXY = drawn;
    this.renderer.setPositions(drawn);
  }

  setStyles(codes, bits) {
    const styledBy = `${this.data.coloring?.url} ${this.data.selected?.url}`;
    if (this.styledBy === styledBy) return;
    this.styledBy = styledBy;
    this.codes = codes;
    this.bits = bits;
    const { order } = this, styles = new Uint8Array(4 * order.length);
    for (let k = 0; k < order.length; k++) {
      const i = order[k];
      styles[4 * k] = codes ? codes[i] : 0;
      styles[4 * k + 1] = bits ? (bits[i >> 3] >> (i & 7)) & 1 : 0;
    }
    this.styles = styles;
    this.hits = [];
    if (bits && this.data.selected.count <= MOST_HITS)
      for (let i = 0; i < this.total; i++) if ((bits[i >> 3] >> (i & 7)) & 1) this.hits.push(i);
    this.renderer.setStyles(styles);
  }

  /** Palette, legend, tools and texts after anything but the view has changed. */
  refresh() {
    const { coloring, selected, title } = this.data;
    this.palette = paletteOf(coloring, this.theme, this.off);
    this.renderer.setPalette(this.palette);
    this.legend.update(coloring, this.palette, this.off);
    this.showTools();
    const summary = this.sayCount();
    const colored = coloring ? `, colored by ${coloring.label}` : "";
    this.stage.setAttribute("aria-label", `${title}: ${summary}${colored}. Press ? for keys.`);
    this.root.dataset.selected = selected ? selected.count : "";
  }

  sayCount() {
    const summary = this.summary();
    if (this.status.textContent !== summary) this.status.textContent = summary;
    return summary;
  }

  summary() {
    const { selected, points, noun } = this.data;
    const far = this.isHome && points.outside ? ` · ${formatCount(points.outside)} farther out (press 0 again)` : "";
    const count = selected ? `${formatCount(selected.count)} of ${formatCount(points.n)} ${noun} selected` : `${formatCount(points.n)} ${noun}`;
    return `${count}${far}${this.renderer.name === "canvas" ? " · no WebGL here, so drawn more coarsely" : ""}`;
  }

  restore() {
    this.renderer.setUp();
    this.renderer.setPositions(this.drawnXY);
    this.renderer.setStyles(this.styles);
    this.renderer.setPalette(this.palette);
    this.draw();
  }

  // -- view ---------------------------------------------------------------------------------------------------

  /** Look where the page asks, else where the visitor last looked, else at everything. */
  aim() {
    const { memory, points, data } = this;
    this.resize();
    this.camera.extent = this.grid.extent;
    const asked = data.camera && JSON.stringify(data.camera);
    // A page may hand back the view it was told of; that is no wish to move there again.
    const isNew = asked && asked !== memory.asked && !memory.reported.includes(asked);
    memory.asked = asked;
    const isOpen = this.aimedAt === points.url;
    if (isNew && isOpen) return fly(this, this.fromMapCamera(data.camera));
    if (isNew) this.camera.set(this.fromMapCamera(data.camera));
    else if (isOpen) return this.seek != null && keepInView(this, this.seek);
    else if (memory.views[points.url]) this.camera.set(memory.views[points.url]);
    else this.fit();
    this.aimedAt = points.url;
    this.remember();
  }

  /** Show the box that the map opens with, or, of a map that shows it already, outliers too. */
  fit(all = false) {
    const wide = this.camera.width > 560 && !this.legend.element.hidden, [w, h] = this.grid.extent;
    this.camera.inset = [wide ? this.legend.element.offsetWidth : 0, 34, 30];
    this.camera.fit(all ? [-w, -h, w, h] : this.points.home);
    this.homeView = all ? null : JSON.stringify(this.camera.get());
  }

  get isHome() {
    return !!this.homeView && JSON.stringify(this.camera.get()) === this.homeView;
  }

  fromMapCamera({ x, y, span }) {
    const { center, halfSpan } = this.points;
    return { x: (x - center[0]) / halfSpan, y: (y - center[1]) / halfSpan, span: span / halfSpan };
  }

  toMapCamera({ x, y, span }) {
    const { center, halfSpan } = this.points, short = (value) => Number(value.toPrecision(8));
    return { x: short(center[0] + halfSpan * x), y: short(center[1] + halfSpan * y), span: short(halfSpan * span) };
  }

  remember() {
    if (this.points) this.memory.views[this.points.url] = this.camera.get();
  }

  /** The visitor moved the view: draw fewer points until it rests, then all, then report it. */
  moved() {
    if (!this.points) return;
    this.flight = null;
    keepInSight(this);
    this.sayCount();
    this.moving = true;
    this.root.dataset.state = "moving";
    this.tooltip.hide();
    clearTimeout(this.settling);
    clearTimeout(this.reporting);
    this.settling = setTimeout(() => {
      this.moving = false;
      this.draw();
    }, SETTLE_DELAY);
    this.reporting = setTimeout(() => this.report(), REPORT_DELAY);
    this.remember();
    this.draw();
  }

  report() {
    const camera = this.toMapCamera(this.camera.get()), text = JSON.stringify(camera);
    if (this.memory.reported.at(-1) === text) return;
    this.memory.reported = [...this.memory.reported.slice(-20), text];
    this.send.state("camera", camera);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (!width || !height || (width === this.camera.width && height === this.camera.height)) return;
    this.camera.resize(width, height);
    this.draw();
  }

  mapToScreen([x, y]) {
    const { center, halfSpan } = this.points;
    return this.camera.toScreen((x - center[0]) / halfSpan, (y - center[1]) / halfSpan);
  }

  pointToScreen(i) {
    return this.camera.toScreen(this.xy[2 * i], this.xy[2 * i + 1]);
  }

  // -- drawing ------------------------------------------------------------------------------------------------

  draw() {
    this.stale = true;
    this.frame ??= requestAnimationFrame((now) => this.onFrame(now));
  }

  onFrame(now) {
    this.frame = null;
    if (this.disposed || !this.points) return;
    if (this.moving && this.lastFrame) this.adapt(now - this.lastFrame);
    this.lastFrame = this.moving ? now : null;
    if (this.stale) {
      this.stale = false;
      this.renderer.draw(this.view());
      this.drawOver();
      this.showTools();
      if (this.settled && !this.moving) this.root.dataset.state = "ready";
    }
    if (this.moving) this.frame = requestAnimationFrame((later) => this.onFrame(later));
  }

  // Slow frames shrink the sample that is drawn during movement, quick ones let it grow again.
  adapt(elapsed) {
    if (elapsed > 45) this.budget = Math.max(20000, this.budget * Math.max(0.25, 40 / elapsed));
    else if (elapsed < 22) this.budget = Math.min(this.total, this.budget * 1.25);
  }

  /** Distance in CSS pixels between neighbors where the map is middling full. */
  get spacing() {
    return this.camera.scale / Math.sqrt(this.grid.density);
  }

  get dense() {
    if (this.memory.density !== null) return this.memory.density;
    if (this.total < 20000) return false;
    // Two thresholds, so that the picture does not flicker between its two ways at the edge.
    this.wasDense = this.spacing < (this.wasDense ? 1.05 : 0.85);
    return this.wasDense;
  }

  view(changes = {}) {
    const { camera, grid, spacing, theme } = this;
    return {
      camera,
      theme,
      ratio: Math.min(window.devicePixelRatio || 1, 3),
      total: this.total,
      shown: this.moving ? Math.min(this.total, Math.round(this.budget)) : this.total,
      dense: this.dense,
      size: clamp(spacing * 1.1, 2.4, 11), // diameter, CSS pixels
      opacity: clamp(0.55 + 0.08 * spacing, 0.62, 0.95),
      peak: Math.max(3, grid.peak / camera.scale ** 2), // points in a CSS pixel of the thickest parts
      anySelected: !!this.data.selected,
      anyMuted: !!this.data.selected || this.off.size > 0,
      ...changes,
    };
  }

  drawOver() {
    const ratio = window.devicePixelRatio || 1, { overCanvas: canvas, camera } = this;
    const width = Math.round(camera.width * ratio), height = Math.round(camera.height * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    // Kept in main memory: on a GPU canvas Chromium has shown an outline again that was cleared long before.
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
    drawOverlay(context, this);
  }

  ringRadius() {
    return Math.max(5, this.view().size / 2 + 2.5);
  }

  // -- pointing -----------------------------------------------------------------------------------------------

  isActive(i) {
    const shownClass = !this.off.has(this.codes ? this.codes[i] : 0);
    return shownClass && (!this.data.selected || ((this.bits[i >> 3] >> (i & 7)) & 1) === 1);
  }

  colorOf(i) {
    const code = this.codes ? this.codes[i] : 0;
    return [...this.palette.slice(4 * code, 4 * code + 3)];
  }

  /** Tell the page what was done. */
  tell(event, value) {
    this.send.trigger(event, value);
    this.voice.asked();
  }

  // -- outlines -----------------------------------------------------------------------------------------------

  setDraft(path) {
    this.draft = path;
    if (this.points) this.drawOver();
  }

  finishOutline(path, op) {
    if (!this.points) return;
    const { center, halfSpan } = this.points, { camera } = this;
    const thin = simplifyTo(path.map(([x, y]) => camera.toScreen(x, y)), MAX_VERTICES);
    const onMap = thin.map(([sx, sy]) => {
      const [x, y] = camera.toWorld(sx, sy);
      return [center[0] + halfSpan * x, center[1] + halfSpan * y];
    });
    onMap[0] = onMap[0].map((value) => Number(value.toPrecision(10)));
    const packed = packPath(onMap, Number(((0.5 * halfSpan) / camera.scale).toPrecision(4)));
    this.pendingOutline = unpackPath(packed);
    this.drawOver();
    this.tell("lasso", { op, polygon: packed });
  }

  escape() {
    if (this.data.selected) this.tell("lasso", { op: "clear" });
    else if (this.tool !== "pan") this.press("pan");
    else this.focus = this.memory.focus = null;
    this.draw();
  }

  setCrosshair(on) {
    if (this.crosshair === on) return;
    this.crosshair = on;
    if (this.points) this.drawOver();
  }

  // -- tools --------------------------------------------------------------------------------------------------

  get tool() {
    return this.memory?.tool ?? "pan";
  }

  get op() {
    return this.memory.op;
  }

  press(name) {
    if (!this.points) return;
    if (["pan", "lasso", "box"].includes(name)) this.memory.tool = this.tool === name ? "pan" : name;
    else if (["new", "add", "subtract", "intersect"].includes(name)) this.memory.op = name;
    else if (name === "clear") this.tell("lasso", { op: "clear" });
    else if (name === "zoomIn" || name === "zoomOut") this.camera.zoom(name === "zoomIn" ? 1.4 : 1 / 1.4);
    else if (name === "fit") this.fit(this.isHome);
    else if (name === "home") this.fit();
    else if (name === "names") this.memory.names = !this.memory.names;
    else if (name === "density") this.memory.density = !this.dense;
    else if (name === "picture") savePicture(this);
    else if (name === "full") this.toggleFullscreen();
    else if (name === "help") this.toolbar.help.hidden = !this.toolbar.help.hidden;
    if (["zoomIn", "zoomOut", "fit", "home"].includes(name)) this.moved();
    this.showTools();
    this.draw();
  }

  toggleFullscreen() {
    if (this.root.matches(":fullscreen")) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }

  showTools() {
    this.stage.dataset.tool = this.tool;
    const anyDensity = this.total >= 5000;
    const anyNames = this.data.labels.some((label) => label.kind === "island");
    this.toolbar.update({
      tool: this.tool, op: this.op, selected: !!this.data.selected, density: this.dense, anyDensity,
      names: this.memory.names, anyNames,
    });
    this.root.dataset.dense = this.dense;
  }

  toggle(code, alone) {
    const codes = [...this.legend.element.querySelectorAll("[data-code]")].map((row) => Number(row.dataset.code));
    if (alone) this.off = new Set(codes.filter((other) => other !== code));
    else if (!this.off.delete(code)) this.off.add(code);
    if (this.off.size === codes.length) this.off.clear(); // all gray says nothing
    this.memory.off[this.data.coloring.label] = [...this.off];
    this.refresh();
    this.draw();
  }

  dispose() {
    this.disposed = true;
    this.abort.abort();
    this.observer.disconnect();
    clearTimeout(this.settling);
    clearTimeout(this.reporting);
    this.voice.end();
    cancelAnimationFrame(this.frame);
    this.renderer.dispose();
    this.root.replaceChildren();
  }
}
