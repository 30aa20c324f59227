// What lies under the pointer or the cross of the keyboard, what a click there does, and the way from hit to hit.
import { keepInView } from "../plane/flight.js";

const POINTER_REACH = 8; // CSS pixels from a pointer to a point that counts as on it
const PIN_REACH = 11;

/** The point within `reach` of a place on the screen, one in color before a gray one; -1 where there is none. */
function pick(map, [sx, sy], reach) {
  const [x, y] = map.camera.toWorld(sx, sy), radius = Math.max(reach, map.view().size / 2 + 3) / map.camera.scale;
  const active = map.grid.nearest(x, y, radius, (i) => map.isActive(i));
  return active >= 0 ? active : map.grid.nearest(x, y, radius, () => true);
}

/** The pin or path step at a place on the screen, or null. */
function pickOver(map, [sx, sy]) {
  const near = ([x, y], reach) => Math.hypot(x - sx, y - sy) <= reach;
  const { paths } = map.data;
  for (const { marker, value, head } of (map.pins ?? []).toReversed()) {
    if (near(head, PIN_REACH)) return { event: "marker", value, text: marker.label };
  }
  for (const [k, path] of paths.entries()) {
    const step = path.xy.findIndex((point) => near(map.mapToScreen(point), 9));
    if (step >= 0) return { event: "step", value: { path: k, step }, text: `step ${step + 1} of ${path.xy.length}` };
  }
  return null;
}

/** Show what lies under the pointer; null when it has left. */
export function hover(map, at) {
  if (!map.points) return;
  const over = at && pickOver(map, at), hovered = !at || over ? -1 : pick(map, at, POINTER_REACH);
  map.stage.classList.toggle("lm-over", hovered >= 0 || !!over);
  if (over?.text) map.tooltip.show([{}], [over.text], ...at, map.camera.width, map.camera.height);
  else if (hovered < 0) map.tooltip.hide();
  if (hovered === map.hovered) return;
  map.hovered = hovered;
  map.drawOver();
  if (hovered >= 0 && map.hoverRows) showDetails(map, hovered, at);
}

async function showDetails(map, i, at) {
  try {
    const values = await map.hoverRows.row(i);
    if (map.hovered !== i || map.disposed || map.moving) return;
    map.tooltip.show(map.data.hover.fields, values, ...at, map.camera.width, map.camera.height);
  } catch {
    map.tooltip.hide(); // the ring still shows the point, and a click still opens its card
  }
}

/** Open what lies at a place on the screen; tell whether there was anything. */
export function click(map, at, reach = POINTER_REACH) {
  if (!map.points) return false;
  const over = pickOver(map, at);
  if (over) {
    map.tell(over.event, over.value);
    return true;
  }
  const i = pick(map, at, reach);
  if (i >= 0) open(map, i);
  return i >= 0;
}

function open(map, i) {
  map.focus = map.memory.focus = i;
  map.drawOver();
  map.tell("clicked", i);
}

/** Open the hit after the open one, or before it, in the order of the table; tell whether there are hits. */
export function openNextHit(map, step) {
  if (!map.data.selected?.count) return false;
  const { total, bits } = map, start = map.focus ?? (step > 0 ? -1 : total);
  for (let n = 1; n <= total; n++) {
    const i = (((start + step * n) % total) + total) % total;
    if (!((bits[i >> 3] >> (i & 7)) & 1)) continue;
    keepInView(map, i);
    open(map, i);
    return true;
  }
  return false;
}
