// Which part of the map is in view. Positions are in unit coordinates: the cloud spans -1 to 1 on its longer side.
import { clamp } from "./geometry.js";

const PADDING = 28; // CSS pixels round the cloud when all of it is shown

export class MapCamera {
  constructor() {
    this.x = 0;
    this.y = 0;
    this.scale = 1; // CSS pixels a unit
    this.width = 1;
    this.height = 1;
    this.extent = [1, 1];
    this.inset = [0, 0, 0]; // what the legend takes on the right, the toolbar on top, the count at the bottom
  }

  get span() {
    return Math.min(this.width, this.height) / this.scale;
  }

  /** Change the window's size; the same part of the map stays in view. */
  resize(width, height) {
    const span = this.span;
    this.width = width;
    this.height = height;
    this.scale = Math.min(width, height) / span;
  }

  /** Show a box, [left, bottom, right, top] in unit coordinates. */
  fit([left, bottom, right, top]) {
    const { width, height } = this, [legend, tools, count] = this.inset;
    const w = Math.max(80, width - legend - 2 * PADDING), h = Math.max(80, height - tools - count - 2 * PADDING);
    this.scale = Math.min(w / Math.max(right - left, 0.1), h / Math.max(top - bottom, 0.1));
    this.x = (left + right) / 2 + legend / 2 / this.scale;
    this.y = (bottom + top) / 2 + (tools - count) / 2 / this.scale;
  }

  set({ x, y, span }) {
    this.x = x;
    this.y = y;
    this.scale = Math.min(this.width, this.height) / span;
    this.limit();
  }

  get() {
    return { x: this.x, y: this.y, span: this.span };
  }

  /** Go from one view to another; 0 is the first, 1 the second, and each zooms by the same factor in the same time. */
  between(from, to, share) {
    const far = from.span === to.span ? share : (from.span ** (1 - share) * to.span ** share - from.span) / (to.span - from.span);
    this.x = from.x + (to.x - from.x) * far;
    this.y = from.y + (to.y - from.y) * far;
    this.scale = Math.min(this.width, this.height) / (from.span ** (1 - share) * to.span ** share);
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
    this.limit();
  }

  /** The smallest scale: the whole cloud with some room round it. */
  get least() {
    const { width, height, extent, inset } = this;
    return 0.75 * Math.min((width - inset[0]) / (2 * extent[0]), (height - inset[1]) / (2 * extent[1]));
  }

  /** Zoom so that what lies under (sx, sy) stays there. */
  zoom(factor, sx = this.width / 2, sy = this.height / 2) {
    const [x, y] = this.toWorld(sx, sy);
    this.scale *= factor;
    this.limit();
    this.x = x - (sx - this.width / 2) / this.scale;
    this.y = y + (sy - this.height / 2) / this.scale;
  }

  // Far enough in to part neighbors in a cloud of a million (float32 still resolves a tenth of a pixel), and
  // never so far away that the cloud is lost.
  limit() {
    const side = Math.min(this.width, this.height) / 2;
    this.scale = clamp(this.scale, this.least, side * 4000);
    this.x = clamp(this.x, -2, 2);
    this.y = clamp(this.y, -2, 2);
  }

  toScreen(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  toWorld(sx, sy) {
    return [this.x + (sx - this.width / 2) / this.scale, this.y - (sy - this.height / 2) / this.scale];
  }
}
