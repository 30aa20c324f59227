// Where the heads of pins and the names of marks go, so that none covers another and none hides under the tools.

const HEAD = 13; // CSS pixels from the tip of a pin to the middle of its head
const APART = 17; // between the middles of two heads
const TURNS = [0, -45, 45, -85, 85, -125, 125]; // degrees by which a pin leans where another stands straight
const REACHES = [HEAD, 2.2 * HEAD, 3.4 * HEAD];
const MOST_NAMED = 12; // more samples than this are smaller and tell their names when pointed at

export const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

/** Boxes of what stands on the map: tools, legend, count. */
export function standing(map) {
  return [map.toolbar.element, map.legend.element, map.status].filter((each) => !each.hidden).map((each) => {
    const { offsetLeft: x, offsetTop: y, offsetWidth: w, offsetHeight: h } = each;
    return [x, y, x + w, y + h];
  });
}

/** Marks with the places of their heads, in the order in which they are drawn: pins last, so that none is hidden. */
export function placePins(map, screen) {
  const { markers } = map.data, { width, height } = map.camera, boxes = standing(map), heads = [], placed = [];
  const named = markers.length <= MOST_NAMED, size = named ? 7 : 5;
  for (const kind of ["sample", "pin"]) {
    for (const [value, marker] of markers.entries()) {
      if (marker.kind !== kind) continue;
      const tip = screen([marker.x, marker.y]), isPin = kind === "pin";
      const head = isPin ? headOf(tip, heads, boxes, width, height) : tip;
      if (isPin) heads.push(head);
      placed.push({ marker, value, tip, head, size, named: named || isPin });
    }
  }
  return placed;
}

function headOf([x, y], heads, boxes, width, height) {
  for (const reach of REACHES) {
    for (const turn of TURNS) {
      const angle = (turn * Math.PI) / 180, head = [x + reach * Math.sin(angle), y - reach * Math.cos(angle)];
      const free = heads.every((other) => Math.hypot(other[0] - head[0], other[1] - head[1]) >= APART);
      const box = [head[0] - 8, head[1] - 8, head[0] + 8, head[1] + 8];
      const seen = box[0] > 0 && box[1] > 0 && box[2] < width && box[3] < height;
      if (free && seen && !boxes.some((other) => overlap(box, other))) return head;
    }
  }
  return [x, y - HEAD];
}

/** Place for a name of a width beside a mark; null where every place is taken. */
export function placeOfName({ tip, head }, wide, taken) {
  const half = wide / 2 + 3, [x, y] = tip, top = Math.min(head[1], y);
  for (const [cx, cy] of [[x, y + 14], [head[0], top - 18], [head[0] + half + 12, head[1]], [head[0] - half - 12, head[1]]]) {
    const box = [cx - half, cy - 9, cx + half, cy + 9];
    if (taken.some((other) => overlap(box, other))) continue;
    taken.push(box);
    return [cx, cy];
  }
  return null;
}
