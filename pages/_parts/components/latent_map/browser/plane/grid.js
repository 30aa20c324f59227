// Points sorted into square cells: finds the point under the pointer, and says how crowded the map is.

export class PointGrid {
  /** @param {Float32Array} xy pairs in unit coordinates */
  constructor(xy) {
    const n = xy.length / 2;
    this.xy = xy;
    this.side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(n / 3))));
    this.cell = 2 / this.side;
    const cells = new Uint32Array(n), start = new Uint32Array(this.side * this.side + 1);
    let hx = 0, hy = 0;
    for (let i = 0; i < n; i++) {
      const x = xy[2 * i], y = xy[2 * i + 1];
      hx = Math.max(hx, Math.abs(x));
      hy = Math.max(hy, Math.abs(y));
      const c = this.column(y) * this.side + this.column(x);
      cells[i] = c;
      start[c + 1]++;
    }
    const counts = start.slice(1);
    for (let c = 0; c < counts.length; c++) start[c + 1] += start[c];
    const next = start.slice(0, -1), ids = new Uint32Array(n);
    for (let i = 0; i < n; i++) ids[next[cells[i]]++] = i;
    this.start = start;
    this.ids = ids;
    this.extent = [Math.max(hx, 0.05), Math.max(hy, 0.05)];
    this.measure(counts.filter((count) => count > 0).sort(), n);
  }

  column(value) {
    return Math.max(0, Math.min(this.side - 1, Math.floor((value + 1) / this.cell)));
  }

  // How full the cell of a middling point is, and that of a point in the thick of it (points per unit area).
  measure(sorted, n) {
    let seen = 0, middle = 1, thick = 1;
    for (const count of sorted) {
      if (seen < n * 0.5) middle = count;
      if (seen < n * 0.98) thick = count;
      seen += count;
    }
    this.density = middle / this.cell ** 2;
    this.peak = thick / this.cell ** 2;
  }

  /** The nearest point within `radius` (unit coordinates) that `accept` takes, or -1. */
  nearest(x, y, radius, accept) {
    const { xy, ids, start, side } = this;
    let best = -1, limit = radius * radius;
    const right = this.column(x + radius), top = this.column(y + radius);
    for (let row = this.column(y - radius); row <= top; row++) {
      for (let column = this.column(x - radius); column <= right; column++) {
        const cell = row * side + column;
        for (let k = start[cell]; k < start[cell + 1]; k++) {
          const i = ids[k], dx = xy[2 * i] - x, dy = xy[2 * i + 1] - y, distance = dx * dx + dy * dy;
          if (distance <= limit && accept(i)) { limit = distance; best = i; }
        }
      }
    }
    return best;
  }
}
