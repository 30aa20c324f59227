// Small plane geometry for outlines: thinning a hand-drawn path and packing it into few bytes.

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Keep the vertices that matter to within `tolerance` (Ramer, Douglas and Peucker). Points are [x, y]. */
export function simplify(points, tolerance) {
  if (points.length < 3) return points.slice();
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  const pending = [[0, points.length - 1]];
  while (pending.length) {
    const [first, last] = pending.pop();
    let farthest = 0, at = -1;
    for (let i = first + 1; i < last; i++) {
      const distance = distanceToSegment(points[i], points[first], points[last]);
      if (distance > farthest) { farthest = distance; at = i; }
    }
    if (farthest > tolerance) {
      keep[at] = 1;
      pending.push([first, at], [at, last]);
    }
  }
  return points.filter((_, i) => keep[i]);
}

/** Thin a path until at most `limit` vertices are left; half a pixel is what an eye can see. */
export function simplifyTo(points, limit) {
  let tolerance = 0.5, kept = simplify(points, tolerance);
  while (kept.length > limit) kept = simplify(kept, (tolerance *= 1.5));
  return kept;
}

export function distanceToSegment([x, y], [x0, y0], [x1, y1]) {
  const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  const t = length ? clamp(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) : 0;
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
}

export function boundsOf(points) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Pack map coordinates as an origin and whole steps from vertex to vertex: three bytes a step, not twenty. */
export function packPath(points, step) {
  const path = [];
  let x = 0, y = 0;
  for (const [px, py] of points.slice(1)) {
    const nx = Math.round((px - points[0][0]) / step), ny = Math.round((py - points[0][1]) / step);
    path.push(nx - x, ny - y);
    x = nx;
    y = ny;
  }
  return { origin: points[0], step, path };
}

/** The polygon that the server reads from a packed path; shown, so that what is seen is what is selected. */
export function unpackPath({ origin, step, path }) {
  const points = [origin];
  let x = 0, y = 0;
  for (let i = 0; i < path.length; i += 2) {
    x += path[i];
    y += path[i + 1];
    points.push([origin[0] + step * x, origin[1] + step * y]);
  }
  return points;
}
