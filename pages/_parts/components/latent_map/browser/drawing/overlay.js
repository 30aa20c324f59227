// What lies over the points: neighbor lines, paths with steps, pins, names, outlines, the ring of the open point.
import { overlap, placeOfName, placePins, standing } from "./pins.js";
import { cssColor, mix } from "./theme.js";

/** Draw in CSS pixels; `map` is the LatentMap, whose data it reads. */
export function drawOverlay(context, map) {
  const { theme, data, camera } = map, screen = (point) => map.mapToScreen(point);
  context.lineJoin = context.lineCap = "round";
  for (const polygon of data.outlines) strokeOutline(context, polygon.map(screen), theme, true);
  if (map.pendingOutline) strokeOutline(context, map.pendingOutline.map(screen), theme, true);
  if (map.draft) strokeOutline(context, map.draft.map(([x, y]) => camera.toScreen(x, y)), theme, false);
  for (const [i, j] of data.links) drawLink(context, map.pointToScreen(i), map.pointToScreen(j), theme);
  for (const [m, j] of data.markerLinks) drawLink(context, screen([data.markers[m].x, data.markers[m].y]), map.pointToScreen(j), theme);
  for (const path of data.paths) drawPath(context, path, screen, theme);
  for (const i of map.hits) drawHit(context, map.pointToScreen(i), map.colorOf(i), theme);
  map.pins = placePins(map, screen);
  const taken = [...standing(map), ...map.pins.map(({ head: [x, y] }) => [x - 8, y - 8, x + 8, y + 8])];
  for (const pin of map.pins) drawMarker(context, pin, theme);
  context.font = `600 13px ${theme.font}`;
  for (const pin of map.pins.toReversed()) {
    const name = pin.named && pin.marker.label, place = name && placeOfName(pin, context.measureText(name).width, taken);
    if (place) write(context, name, ...place, theme, 600);
  }
  for (const label of data.labels) {
    if (label.kind === "note" || map.memory.names) drawText(context, label.text, screen([label.x, label.y]), theme, map, taken);
  }
  if (map.hovered >= 0 && map.hovered !== map.focus) ring(context, map.pointToScreen(map.hovered), map.ringRadius(), theme, 1.5);
  if (map.focus !== null && map.points) focusRing(context, map.pointToScreen(map.focus), map.ringRadius() + 2, theme);
  if (map.crosshair) drawCrosshair(context, camera.width / 2, camera.height / 2, theme);
}

function strokeOutline(context, points, theme, closed) {
  if (points.length < 2) return;
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.fillStyle = cssColor(theme.primary, 0.08);
  context.fill();
  context.setLineDash(closed ? [5, 4] : []);
  context.strokeStyle = cssColor(theme.primary, 0.95);
  context.lineWidth = 1.5;
  context.stroke();
  context.setLineDash([]);
}

function drawLink(context, from, to, theme) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  haloed(context, theme, 1.4, cssColor(theme.text, 0.75));
  context.beginPath();
  context.arc(...to, 4.5, 0, 7);
  haloed(context, theme, 1.4, cssColor(theme.text, 0.9));
}

// Every line gets a wider one in the page's color beneath it, so that it reads over any points.
function haloed(context, theme, width, color) {
  context.strokeStyle = cssColor(theme.background, 0.85);
  context.lineWidth = width + 2.5;
  context.stroke();
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
}

function drawPath(context, path, screen, theme) {
  const steps = path.xy.map(screen);
  context.beginPath();
  steps.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  haloed(context, theme, 2.5, cssColor(theme.text));
  const off = new Set(path.offData);
  steps.forEach((step, i) => {
    const end = i === 0 || i === steps.length - 1;
    context.beginPath();
    context.arc(...step, i === path.current ? 8 : end ? 6 : 4.5, 0, 7);
    context.fillStyle = cssColor(off.has(i) ? theme.background : i === path.current ? theme.primary : theme.text);
    context.fill();
    context.strokeStyle = cssColor(off.has(i) ? theme.primary : theme.background);
    context.lineWidth = off.has(i) ? 2.2 : 1.8;
    context.stroke();
  });
  if (path.label && steps.length) write(context, path.label, steps[0][0], steps[0][1] - 14, theme, 600);
}

// A point that was searched, so large that it is seen at any zoom.
function drawHit(context, [x, y], color, theme) {
  context.beginPath();
  context.arc(x, y, 5.5, 0, 7);
  context.fillStyle = cssColor(color);
  context.fill();
  context.strokeStyle = cssColor(theme.text);
  context.lineWidth = 1.4;
  context.stroke();
}

function drawMarker(context, { marker, tip: [x, y], head: [hx, hy], size }, theme) {
  const isPin = marker.kind === "pin";
  context.beginPath();
  if (isPin) {
    const lean = Math.atan2(y - hy, x - hx); // from the head to the tip
    context.arc(hx, hy, 7, lean + 0.35 * Math.PI, lean - 0.35 * Math.PI);
    context.lineTo(x, y);
  } else {
    for (const [dx, dy] of [[0, -size], [size, 0], [0, size], [-size, 0]]) context.lineTo(x + dx, y + dy);
  }
  context.closePath();
  const ranked = !isPin && marker.standing !== null && marker.standing !== undefined;
  context.fillStyle = cssColor(ranked ? mix(theme.ranked, theme.background, 0.85 * marker.standing) : theme.primary);
  context.fill();
  context.strokeStyle = cssColor(ranked ? theme.text : theme.background);
  context.lineWidth = size < 7 && !isPin ? 1 : 1.8;
  context.stroke();
  if (isPin) {
    context.beginPath();
    context.arc(hx, hy, 2.4, 0, 7);
    context.fillStyle = cssColor(theme.background);
    context.fill();
  }
}

// Names of islands: the first named wins where two would overlap, and marks before all of them.
function drawText(context, text, [x, y], theme, map, taken) {
  const { width, height } = map.camera;
  context.font = `600 13px ${theme.font}`;
  const half = context.measureText(text).width / 2 + 6;
  if (x < -half || y < 0 || x > width + half || y > height) return;
  const inside = Math.min(Math.max(x, half), Math.max(half, width - half)); // a name is not cut by the edge
  const box = [inside - half, y - 10, inside + half, y + 10];
  if (taken.some((other) => overlap(box, other))) return;
  taken.push(box);
  write(context, text, inside, y, theme, 600);
}

function write(context, text, x, y, theme, weight) {
  context.font = `${weight} 13px ${theme.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.strokeStyle = cssColor(theme.background, 0.9);
  context.lineWidth = 4;
  context.strokeText(text, x, y);
  context.fillStyle = cssColor(theme.text);
  context.fillText(text, x, y);
}

function ring(context, [x, y], radius, theme, width) {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  haloed(context, theme, width, cssColor(theme.text));
}

function focusRing(context, [x, y], radius, theme) {
  context.beginPath();
  context.arc(x, y, radius + 2, 0, 7);
  haloed(context, theme, 2.5, cssColor(theme.primary));
}

function drawCrosshair(context, x, y, theme) {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 5 * dx, y + 5 * dy);
    context.lineTo(x + 13 * dx, y + 13 * dy);
  }
  haloed(context, theme, 1.5, cssColor(theme.text, 0.8));
}
