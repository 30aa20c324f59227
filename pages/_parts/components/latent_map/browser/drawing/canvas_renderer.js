// The same picture without WebGL: points counted per pixel in plain JavaScript. Slower and coarser, never absent.

export class CanvasRenderer {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.name = "canvas";
  }

  setPositions(xy) { this.xy = xy; }

  setStyles(styles) { this.styles = styles; }

  setPalette(rgba) { this.rgba = rgba; }

  draw(view) {
    const { canvas, context } = this;
    const width = Math.round(view.camera.width), height = Math.round(view.camera.height);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const image = context.createImageData(width, height);
    if (view.shown) {
      if (view.anyMuted) this.paint(image, view, false);
      this.paint(image, view, true);
    }
    context.putImageData(image, 0, 0);
  }

  paint(image, view, active) {
    const { width, height } = image, { camera, theme } = view, { xy, styles, rgba } = this;
    const sums = new Float32Array(width * height * 4);
    const reach = view.dense ? 0 : Math.max(0, Math.round(view.size / 2 - 0.5)), limit = (reach + 0.4) ** 2;
    const near = [];
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) if (dx * dx + dy * dy <= limit) near.push([dx, dy]);
    }
    for (let k = 0; k < view.shown; k++) {
      const code = 4 * styles[4 * k];
      const isActive = rgba[code + 3] > 0 && (!view.anySelected || styles[4 * k + 1] > 0);
      if (isActive !== active) continue;
      const x = Math.floor(width / 2 + (xy[2 * k] - camera.x) * camera.scale);
      const y = Math.floor(height / 2 - (xy[2 * k + 1] - camera.y) * camera.scale);
      const [r, g, b] = active ? [rgba[code], rgba[code + 1], rgba[code + 2]] : theme.muted;
      for (const [dx, dy] of near) {
        const px = x + dx, py = y + dy;
        if (px < 0 || py < 0 || px >= width || py >= height) continue;
        const at = 4 * (py * width + px);
        sums[at] += r;
        sums[at + 1] += g;
        sums[at + 2] += b;
        sums[at + 3] += 1;
      }
    }
    const weight = view.total / view.shown, full = Math.log(1 + 4 * view.peak);
    for (let at = 0; at < sums.length; at += 4) {
      const count = sums[at + 3];
      if (!count) continue;
      const tone = view.dense ? 0.25 + 0.75 * Math.min(1, Math.log(1 + 4 * count * weight) / full) : 0.9;
      for (let channel = 0; channel < 3; channel++) image.data[at + channel] = sums[at + channel] / count;
      image.data[at + 3] = 255 * tone;
    }
  }

  dispose() {}
}
