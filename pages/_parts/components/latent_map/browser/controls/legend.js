// What the colors mean: classes that can be switched off, or a bar with its unit. Built once for the page and
// painted once more for the exported picture.
import { cssColor } from "../drawing/theme.js";

export const formatCount = (n) => n.toLocaleString("en-US");

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Rows of the legend: classes, then the points without a value. */
export function legendRows(coloring) {
  const rows = coloring.entries.slice();
  if (coloring.missing) rows.push({ name: "no value", code: 255, count: coloring.missing });
  return rows;
}

export const legendTitle = ({ label, unit }) => (unit ? `${label} (${unit})` : label);

const codeColor = (palette, code) => [...palette.slice(4 * code, 4 * code + 3)];

/** Positions from 0 to 1 and colors of a continuous bar. */
function barStops(coloring, palette) {
  const last = coloring.light.length / 6 - 1;
  return Array.from({ length: 24 }, (_, i) => [i / 23, cssColor(codeColor(palette, Math.round((last * i) / 23)))]);
}

/** Text of a tick; the ends say when values lie beyond them. */
function tickText(coloring, tick, i) {
  const below = i === 0 && coloring.clipped[0], above = i === coloring.ticks.length - 1 && coloring.clipped[1];
  return `${below ? "≤ " : ""}${above ? "≥ " : ""}${tick.text}`;
}

export class Legend {
  /** @param {(code: number, alone: boolean) => void} onToggle a class was clicked; `alone` asks for it only */
  constructor(parent, onToggle) {
    this.element = make("div", "lm-legend");
    this.onToggle = onToggle;
    parent.append(this.element);
  }

  update(coloring, palette, off) {
    this.element.hidden = !coloring;
    if (!coloring) return;
    const focused = this.element.getRootNode().activeElement?.dataset?.code;
    const title = make("div", "lm-legend-title", legendTitle(coloring));
    const bar = coloring.ticks.length ? [this.bar(coloring, palette)] : [];
    const rows = make("div", "lm-legend-rows");
    rows.append(...legendRows(coloring).map((row) => this.row(row, palette, off)));
    this.element.replaceChildren(title, ...bar, rows);
    if (focused !== undefined) this.element.querySelector(`[data-code="${focused}"]`)?.focus();
  }

  row({ name, code, count }, palette, off) {
    const row = make("button", "lm-legend-row");
    row.type = "button";
    row.dataset.code = code;
    row.setAttribute("aria-pressed", String(!off.has(code)));
    row.title = "Click: gray out or bring back. Double click: this one alone.";
    const dot = make("span", "lm-legend-dot");
    dot.style.background = off.has(code) ? "transparent" : cssColor(codeColor(palette, code));
    dot.style.borderColor = cssColor(codeColor(palette, code));
    row.append(dot, make("span", "lm-legend-name", name), make("span", "lm-legend-count", formatCount(count)));
    row.onclick = (event) => this.onToggle(code, event.detail > 1);
    return row;
  }

  bar(coloring, palette) {
    const frame = make("div", "lm-bar"), fill = make("div", "lm-bar-fill");
    const stops = barStops(coloring, palette).map(([at, color]) => `${color} ${(100 * at).toFixed(1)}%`);
    fill.style.background = `linear-gradient(to top, ${stops.join(",")})`;
    frame.append(fill);
    coloring.ticks.forEach((tick, i) => {
      const mark = make("span", "lm-bar-tick", tickText(coloring, tick, i));
      mark.style.bottom = `${100 * tick.at}%`;
      frame.append(mark);
    });
    return frame;
  }
}

/** Paint the legend in CSS pixels with its right top corner at (right, top). */
export function paintLegend(context, coloring, palette, off, theme, right, top) {
  const rows = legendRows(coloring), barHeight = coloring.ticks.length ? 150 : 0;
  const font = (weight, size) => (context.font = `${weight} ${size}px ${theme.font}`);
  font(400, 13);
  const texts = rows.map((row) => context.measureText(`${row.name}   ${formatCount(row.count)}`).width + 24);
  const ticks = coloring.ticks.map((tick, i) => context.measureText(tickText(coloring, tick, i)).width + 28);
  font(600, 13);
  const width = Math.max(context.measureText(legendTitle(coloring)).width, ...texts, ...ticks) + 24;
  const height = 34 + (barHeight ? barHeight + 18 : 0) + rows.length * 22 + 6, left = right - width;
  context.fillStyle = cssColor(theme.background, 0.9);
  context.strokeStyle = cssColor(theme.text, 0.18);
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(left, top, width, height, 8);
  context.fill();
  context.stroke();
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = cssColor(theme.text);
  context.fillText(legendTitle(coloring), left + 12, top + 18);
  font(400, 13);
  let y = top + 38;
  if (barHeight) {
    const fill = context.createLinearGradient(0, y + barHeight, 0, y);
    for (const [at, color] of barStops(coloring, palette)) fill.addColorStop(at, color);
    context.fillStyle = fill;
    context.fillRect(left + 12, y, 14, barHeight);
    context.fillStyle = cssColor(theme.text);
    coloring.ticks.forEach((tick, i) => context.fillText(tickText(coloring, tick, i), left + 34, y + barHeight * (1 - tick.at)));
    y += barHeight + 18;
  }
  for (const row of rows) {
    context.beginPath();
    context.arc(left + 17, y + 6, 5, 0, 7);
    context.fillStyle = context.strokeStyle = cssColor(codeColor(palette, row.code));
    off.has(row.code) ? context.stroke() : context.fill();
    context.fillStyle = cssColor(theme.text, off.has(row.code) ? 0.5 : 1);
    context.textAlign = "left";
    context.fillText(row.name, left + 30, y + 6);
    context.textAlign = "right";
    context.fillText(formatCount(row.count), right - 12, y + 6);
    y += 22;
  }
}
