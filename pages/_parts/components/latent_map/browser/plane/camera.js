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
    this.inset = [0, 0]; // width that the legend takes on the right, and the toolbar on top
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

  fit() {
    const { width, height, extent } = this, [right, top] = this.inset;
    const w = Math.max(80, width - right - 2 * PADDING), h = Math.max(80, height - top - 2 * PADDING);
    this.scale = Math.min(w / (2 * extent[0]), h / (2 * extent[1]));
    this.x = right / 2 / this.scale;
    this.y = top / 2 / this.scale;
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

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
    this.limit();
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
    this.scale = clamp(this.scale, side * 0.25, side * 4000);
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
