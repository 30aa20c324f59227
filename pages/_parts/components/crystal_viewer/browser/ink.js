// What lies over the picture in 2D, crisp at any size: captions, axes, site labels, picks and their measure.
import { turned, unit } from "./camera.js";
import { measured } from "./panel.js";

export function drawInk(context, panels, look, picked, hover, colors, font) {
  for (const panel of panels) {
    const { frame, place } = panel;
    context.save();
    context.beginPath();
    context.rect(frame.x, frame.y, frame.width, frame.height);
    context.clip();
    if (frame.x > 0 || frame.y > 0) outline(context, frame, colors.border);
    if (look.labels) drawLabels(context, panel, picked, place, colors, font);
    if (picked.panel === panel.index && picked.rows.length) drawPicks(context, panel, picked.rows, place, colors, font);
    if (hover?.panel === panel.index) ring(context, panel.atoms[hover.row], panel, place, colors.text, 1.5);
    drawAxes(context, panel, colors, font);
    drawCaption(context, panel, colors, font);
    context.restore();
  }
}

function outline(context, frame, color) {
  context.strokeStyle = color;
  context.lineWidth = 1;
  context.strokeRect(frame.x + 0.5, frame.y + 0.5, frame.width, frame.height);
}

function ring(context, atom, panel, place, color, width) {
  const spot = place(atom.xyz, panel.center);
  context.beginPath();
  context.arc(spot.x, spot.y, Math.max(atom.radius * spot.scale, 5) + 2.5, 0, 2 * Math.PI);
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
}

/** Text with a halo of the ground, so that it reads over any ball. */
function haloed(context, text, x, y, color, ground, width = 4) {
  context.lineJoin = "round";
  context.lineWidth = width;
  context.strokeStyle = ground;
  context.strokeText(text, x, y);
  context.fillStyle = color;
  context.fillText(text, x, y);
}

function drawLabels(context, panel, picked, place, colors, font) {
  context.font = `600 12px ${font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const spots = panel.atoms
    .filter((atom) => atom.drawn && !(picked.panel === panel.index && picked.rows.includes(atom.row)))
    .map((atom) => ({ atom, ...place(atom.xyz, panel.center) }))
    .sort((a, b) => a.z - b.z);
  for (const { atom, x, y, z } of spots) {
    context.globalAlpha = 0.45 + 0.55 * Math.min(1, Math.max(0, 0.5 + z / (2 * panel.radius)));
    haloed(context, atom.label, x, y, colors.text, colors.ground, 3);
  }
  context.globalAlpha = 1;
}

function drawPicks(context, panel, rows, place, colors, font) {
  const spots = rows.map((row) => place(panel.atoms[row].xyz, panel.center));
  context.setLineDash([6, 4]);
  for (const [color, width] of [[colors.ground, 5], [colors.accent, 2.5]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    spots.forEach(({ x, y }, k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  }
  context.setLineDash([]);
  context.textAlign = "center";
  context.textBaseline = "middle";
  rows.forEach((row, k) => {
    ring(context, panel.atoms[row], panel, place, colors.ground, 5);
    ring(context, panel.atoms[row], panel, place, colors.accent, 2.5);
    context.font = `700 13px ${font}`;
    haloed(context, String(k + 1), spots[k].x, spots[k].y, colors.accent, colors.ground);
  });
  const result = measured(rows.map((row) => panel.atoms[row].xyz));
  if (!result || result.value === null) return;
  const at = rows.length === 3 ? spots[1] : spots.reduce((s, p) => ({ x: s.x + p.x / spots.length, y: s.y + p.y / spots.length }), { x: 0, y: 0 });
  context.font = `700 16px ${font}`;
  const width = context.measureText(written(result)).width + 18;
  context.beginPath();
  context.roundRect(at.x - width / 2, at.y - 46, width, 26, 6);
  context.fillStyle = colors.ground;
  context.fill();
  context.strokeStyle = colors.accent;
  context.lineWidth = 1.5;
  context.stroke();
  context.fillStyle = colors.accent;
  context.fillText(written(result), at.x, at.y - 32.5);
}

export const written = ({ value, digits, unit: symbol }) => `${value.toFixed(digits).replace("-", "\u2212")}${symbol}`;

function drawAxes(context, panel, colors, font) {
  const { frame } = panel;
  const size = Math.min(34, frame.width / 7);
  const [x0, y0] = [frame.x + size + 18, frame.y + frame.height - size - 18];
  const axes = panel.scene.lattice
    .map((vector, k) => ({ tip: turned(panel.q, unit(vector)), color: colors.axes[k], name: "abc"[k] }))
    .sort((a, b) => a.tip[2] - b.tip[2]);
  context.font = `italic 600 14px ${font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { tip, color, name } of axes) {
    const [x, y] = [x0 + tip[0] * size, y0 - tip[1] * size];
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = 2.5;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x, y);
    context.stroke();
    const length = Math.hypot(x - x0, y - y0);
    if (length > 6) {
      const [ux, uy] = [(x - x0) / length, (y - y0) / length];
      context.beginPath();
      context.moveTo(x + 5 * ux, y + 5 * uy);
      context.lineTo(x - 4 * ux - 4 * uy, y - 4 * uy + 4 * ux);
      context.lineTo(x - 4 * ux + 4 * uy, y - 4 * uy - 4 * ux);
      context.fill();
    }
    haloed(context, name, x0 + tip[0] * (size + 13), y0 - tip[1] * (size + 13), color, colors.ground);
  }
  context.beginPath();
  context.arc(x0, y0, 2.5, 0, 2 * Math.PI);
  context.fillStyle = colors.muted;
  context.fill();
}

/** Pixels at the top of a panel that its caption takes; atoms begin below. */
export const captionHeight = (panel) => (panel.caption ? 54 : 34);

function drawCaption(context, panel, colors, font) {
  const { frame, scene } = panel;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  const room = frame.width - 24, y = frame.y + 27;
  let x = frame.x + 12;
  const parts = scene.formula.match(/[0-9.]+|[^0-9.]+/g) ?? [];
  const set = (low, large) => (context.font = `600 ${low ? Math.round(0.68 * large) : large}px ${font}`);
  const widths = (large) => parts.reduce((sum, part) => (set(/^[0-9.]+$/.test(part), large), sum + context.measureText(part).width + 0.5), 0);
  const large = Math.max(11, Math.min(19, Math.floor((19 * room) / Math.max(widths(19), 1))));
  for (const part of parts) {
    const low = /^[0-9.]+$/.test(part);
    set(low, large);
    haloed(context, part, x, y + (low ? large / 4 : 0), colors.text, colors.ground);
    x += context.measureText(part).width + 0.5;
  }
  context.font = `400 13px ${font}`;
  haloed(context, shortened(context, panel.caption, room), frame.x + 12, y + 19, colors.muted, colors.ground);
}

function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > room) end -= 1;
  return `${text.slice(0, end)}…`;
}
