// One camera for every panel: an orientation, a zoom and a shift, free of any structure's size or place.
// Quaternions are [x, y, z, w]; the view has x to the right, y up, z toward the eye.

const EYE = 150; // 3Dmol keeps its camera at this height above the plane that structures turn in
const HALF_ANGLE = (10 * Math.PI) / 180; // half of 3Dmol's vertical field of view

const multiply = ([ax, ay, az, aw], [bx, by, bz, bw]) => [
  aw * bx + ax * bw + ay * bz - az * by,
  aw * by - ax * bz + ay * bw + az * bx,
  aw * bz + ax * by - ay * bx + az * bw,
  aw * bw - ax * bx - ay * by - az * bz,
];
export const unit = (vector) => {
  const length = Math.hypot(...vector) || 1;
  return vector.map((x) => x / length);
};
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const turned = (q, v) => multiply(multiply(q, [...v, 0]), [-q[0], -q[1], -q[2], q[3]]).slice(0, 3);
const about = (axis, degrees) => {
  const half = (degrees * Math.PI) / 360;
  return [...unit(axis).map((x) => x * Math.sin(half)), Math.cos(half)];
};

/** The orientation that looks against `eye` (model axes) with `up` upward. */
export function looking(eye, up) {
  const z = unit(eye);
  const right = cross(up, z);
  const x = unit(Math.hypot(...right) > 1e-6 ? right : cross(Math.abs(z[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0], z));
  const y = cross(z, x);
  const trace = x[0] + y[1] + z[2]; // rows of the rotation are x, y, z
  if (trace > 0) {
    const s = 2 * Math.sqrt(1 + trace);
    return [(z[1] - y[2]) / s, (x[2] - z[0]) / s, (y[0] - x[1]) / s, s / 4];
  }
  if (x[0] > y[1] && x[0] > z[2]) {
    const s = 2 * Math.sqrt(1 + x[0] - y[1] - z[2]);
    return [s / 4, (x[1] + y[0]) / s, (x[2] + z[0]) / s, (z[1] - y[2]) / s];
  }
  if (y[1] > z[2]) {
    const s = 2 * Math.sqrt(1 + y[1] - x[0] - z[2]);
    return [(x[1] + y[0]) / s, s / 4, (y[2] + z[1]) / s, (x[2] - z[0]) / s];
  }
  const s = 2 * Math.sqrt(1 + z[2] - x[0] - y[1]);
  return [(x[2] + z[0]) / s, (y[2] + z[1]) / s, s / 4, (y[0] - x[1]) / s];
}

export const startCamera = () => ({ q: looking([0.366, -0.906, 0.213], [0, 0, 1]), zoom: 1, shift: [0, 0] });

/** Where a panel's camera stands, for 3Dmol and for our own drawing on top of it; `top` pixels are left for a caption. */
export function projection(camera, frame, radius, top = 0) {
  const slope = Math.tan(HALF_ANGLE);
  const room = Math.min(frame.height - top, frame.width) / frame.height;
  const fit = (0.86 * radius) / Math.sin(Math.atan(slope * room));
  const distance = Math.max(fit / camera.zoom, 2);
  const lower = (top * distance * slope) / frame.height;
  const shift = [camera.shift[0] * radius, camera.shift[1] * radius - lower];
  return {
    shift,
    view: (center) => [...center.map((x) => -x), EYE - distance, ...camera.q, ...shift],
    /** Pixel x, y in the stage, depth toward the eye in Å, and pixels per Å there. */
    place: (point, center) => {
      const [x, y, z] = turned(camera.q, minus(point, center));
      const scale = frame.height / 2 / slope / Math.max(distance - z, 0.1);
      return {
        x: frame.x + frame.width / 2 + (x + shift[0]) * scale,
        y: frame.y + frame.height / 2 - (y + shift[1]) * scale,
        z,
        scale,
      };
    },
  };
}

/**
 * Drag turns, with Shift or the right button moves, wheel and two fingers zoom; a press without a drag is a click.
 * The wheel is the page's until somebody has pressed here, or with Ctrl, and again once the pointer has left.
 */
export function gestures(element, camera, { changed, clicked, hovered, passedBy }, signal) {
  let taken = false;
  const down = new Map();
  let travelled = 0;
  let spread = 0;
  const span = () => {
    const [a, b] = [...down.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  const listen = (type, act, options = {}) => element.addEventListener(type, act, { signal, ...options });
  listen("pointerdown", (event) => {
    taken = true;
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 1) travelled = 0;
    if (down.size === 2) spread = span();
  });
  listen("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last) return hovered(event);
    const dx = event.clientX - last.x;
    const dy = event.clientY - last.y;
    travelled += Math.hypot(dx, dy);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (travelled < 4) return;
    if (down.size === 2) {
      camera.zoom = bounded((camera.zoom * span()) / spread);
      spread = span();
    } else if (event.shiftKey || event.buttons === 2 || event.buttons === 4) {
      shiftBy(camera, dx / element.clientHeight, -dy / element.clientHeight);
    } else {
      turnBy(camera, (180 * dx) / element.clientHeight, (180 * dy) / element.clientHeight);
    }
    changed();
  });
  const release = (event) => {
    if (down.delete(event.pointerId) && travelled < 4 && event.type === "pointerup" && event.button === 0) clicked(event);
  };
  listen("pointerup", release);
  listen("pointercancel", release);
  listen("pointerleave", () => {
    taken = false;
    hovered(null);
  });
  listen("contextmenu", (event) => event.preventDefault());
  listen(
    "wheel",
    (event) => {
      if (!taken && !event.ctrlKey && !event.metaKey) return passedBy();
      event.preventDefault();
      camera.zoom = bounded(camera.zoom * Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 400));
      changed();
    },
    { passive: false },
  );
}

export const bounded = (zoom) => Math.min(20, Math.max(0.2, zoom));
export const turnBy = (camera, right, down) => {
  camera.q = unit(multiply(multiply(about([0, 1, 0], right), about([1, 0, 0], down)), camera.q));
};
export const shiftBy = (camera, x, y) => {
  camera.shift = [camera.shift[0] + (2 * x) / camera.zoom, camera.shift[1] + (2 * y) / camera.zoom];
};
