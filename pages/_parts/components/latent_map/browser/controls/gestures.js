// Pointer and keys on the map's surface: move, zoom, draw an outline, point and click.
import { boundsOf } from "../plane/geometry.js";
import { click, hover, openNextHit } from "./pointing.js";

const CLICK_REACH = 4; // CSS pixels that a hand may slip during a click

const CROSS_REACH = 80; // and how far the cross of the keyboard reaches for a point

const KEY_TOOLS = {
  "+": "zoomIn", "=": "zoomIn", "-": "zoomOut", _: "zoomOut", 0: "fit", l: "lasso", b: "box", v: "pan",
  d: "density", n: "names", p: "picture", f: "full", "?": "help",
};
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export const opOf = (event, fallback) =>
  event.shiftKey && event.altKey ? "intersect" : event.shiftKey ? "add" : event.altKey ? "subtract" : fallback;

/** Listen on `map.stage` until `signal` aborts. */
export function listen(map, signal) {
  const { stage, camera } = map, options = { signal };
  const pointers = new Map();
  let drag = null;

  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  // The wheel belongs to the page until the map is clicked, and again when the pointer has left it.
  let ours = false;
  stage.addEventListener("wheel", (event) => {
    if (!ours && !event.ctrlKey && !map.root.matches(":fullscreen")) {
      map.voice.hint("Click the map, or hold Ctrl, to zoom with the wheel");
      return;
    }
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
    if (pixels > 0 && camera.scale <= camera.least * 1.001 && !event.ctrlKey) return; // all is in view: on with the page
    event.preventDefault();
    camera.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0016)), ...place(event));
    map.moved();
  }, { ...options, passive: false });

  stage.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    ours = true;
    map.voice.hint("");
    stage.setPointerCapture(event.pointerId);
    const at = place(event);
    pointers.set(event.pointerId, at);
    if (pointers.size === 2) {
      map.setDraft(null);
      drag = { kind: "pinch" };
      return;
    }
    const quick = event.shiftKey || event.altKey ? "lasso" : "pan";
    const kind = event.button === 1 ? "pan" : map.tool === "pan" ? quick : map.tool;
    drag = { kind, from: at, last: at, op: opOf(event, map.op), slipped: false, path: [camera.toWorld(...at)] };
    map.setCrosshair(false);
  }, options);

  stage.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (!drag) {
      hover(map, at);
      return;
    }
    const before = pointers.get(event.pointerId);
    if (!before) return;
    if (drag.kind === "pinch") {
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, at);
      if (!other) return;
      const spread = (p) => Math.max(10, Math.hypot(p[0] - other[0], p[1] - other[1]));
      camera.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
      camera.zoom(spread(at) / spread(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
      map.moved();
      return;
    }
    drag.slipped ||= Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) > CLICK_REACH;
    if (!drag.slipped) return;
    hover(map, null);
    if (drag.kind === "pan") {
      camera.pan(at[0] - drag.last[0], at[1] - drag.last[1]);
      map.moved();
    } else {
      const here = camera.toWorld(...at), [x, y] = drag.path[0];
      if (drag.kind === "box") drag.path = [[x, y], [here[0], y], here, [x, here[1]]];
      else drag.path.push(here);
      map.setDraft(drag.path);
    }
    drag.last = at;
  }, options);

  const release = (event) => {
    pointers.delete(event.pointerId);
    if (!drag || pointers.size) return;
    const { kind, slipped, path, from, op } = drag;
    drag = null;
    if (event.type === "pointercancel" || kind === "pinch") map.setDraft(null);
    else if (!slipped) click(map, from);
    else if (kind !== "pan" && map.draft) {
      const [left, bottom, right, top] = boundsOf(path);
      map.setDraft(null);
      if ((right - left) * camera.scale > 3 && (top - bottom) * camera.scale > 3) map.finishOutline(path, op);
    }
  };
  stage.addEventListener("pointerup", release, options);
  stage.addEventListener("pointercancel", release, options);
  stage.addEventListener("pointerleave", () => {
    ours = false;
    map.voice.hint("");
    hover(map, null);
  }, options);
  stage.addEventListener("dblclick", () => map.hovered < 0 && map.press("home"), options);

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    const arrow = ARROWS[event.key], tool = KEY_TOOLS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (arrow) {
      const step = event.shiftKey ? 12 : 60;
      camera.pan(arrow[0] * step, arrow[1] * step);
      map.setCrosshair(true);
      map.moved();
    } else if (event.key === "Enter") {
      if (map.crosshair || !openNextHit(map, event.shiftKey ? -1 : 1)) {
        map.setCrosshair(true);
        click(map, [camera.width / 2, camera.height / 2], CROSS_REACH);
      }
    } else if (event.key === "Escape") {
      if (drag) drag = null, map.setDraft(null);
      else map.escape();
    } else if (tool) map.press(tool);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, options);
  stage.addEventListener("blur", () => map.setCrosshair(false), options);
}
