// Buttons over the map, with icons drawn here. Every button has a key and says so.

const stroke = (body) =>
  `<svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" stroke-width="1.6" ` +
  `stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${body}</svg>`;

const LEFT = '<circle cx="7.5" cy="10" r="4.8"', RIGHT = '<circle cx="12.5" cy="10" r="4.8"';
const LENS = '<path d="M10 5.9a4.8 4.8 0 0 1 0 8.2 4.8 4.8 0 0 1 0-8.2z"';
const CRESCENT = '<path d="M10 5.9a4.8 4.8 0 1 0 0 8.2 4.8 4.8 0 0 1 0-8.2z"';
const FULL = ' fill="currentColor" stroke="none"/>', HOLLOW = "/>";

const ICONS = {
  pan: '<path d="M10 2.5v15M2.5 10h15M8 4.5l2-2 2 2M8 15.5l2 2 2-2M4.5 8l-2 2 2 2M15.5 8l2 2-2 2"/>',
  lasso: '<path d="M6.2 13.2C3.9 12.4 2.5 10.8 2.5 8.9 2.5 5.9 5.9 3.5 10 3.5s7.5 2.4 7.5 5.4-3.4 5.4-7.5 5.4c-.6 0-1.2 0-1.7-.1"/><circle cx="7.2" cy="13.8" r="1.5"/><path d="M6.8 15.3c.2 1.2-.5 2.2-1.8 2.2"/>',
  box: '<path d="M3.5 6.5v-3h3M13.5 3.5h3v3M16.5 13.5v3h-3M6.5 16.5h-3v-3"/><path d="M9 3.5h2M9 16.5h2M3.5 9v2M16.5 9v2"/>',
  new: '<circle cx="10" cy="10" r="5.5" fill="currentColor" stroke="none"/>',
  add: LEFT + FULL + RIGHT + FULL,
  subtract: CRESCENT + FULL + LEFT + HOLLOW + RIGHT + ' stroke-dasharray="1.5 2.2"/>',
  intersect: LENS + FULL + LEFT + HOLLOW + RIGHT + HOLLOW,
  clear: '<path d="M5 5l10 10M15 5L5 15"/>',
  zoomIn: '<path d="M10 4.5v11M4.5 10h11"/>',
  zoomOut: '<path d="M4.5 10h11"/>',
  fit: '<path d="M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4"/><circle cx="10" cy="10" r="1.8" fill="currentColor" stroke="none"/>',
  names: '<path d="M3.5 5.5v-2h9v2M8 3.5v9M6 12.5h4"/><path d="M13 9.5h4M15 9.5v7" opacity=".7"/>',
  density: '<circle cx="8" cy="11.5" r="5.5" opacity=".45"/><circle cx="8.5" cy="11" r="2.8" fill="currentColor" stroke="none"/><circle cx="15.5" cy="4.5" r="1" fill="currentColor"/><circle cx="16.5" cy="9" r=".6" fill="currentColor"/><circle cx="10.5" cy="3.5" r=".6" fill="currentColor"/>',
  picture: '<path d="M10 3v9M6.5 8.8L10 12.3l3.5-3.5M3.5 13.5v3h13v-3"/>',
  full: '<path d="M11.5 3.5h5v5M16.5 3.5l-5.5 5.5M8.5 16.5h-5v-5M3.5 16.5l5.5-5.5"/>',
  help: '<path d="M7.3 7.3a2.7 2.7 0 1 1 4 2.4c-.9.5-1.3 1-1.3 2"/><circle cx="10" cy="14.8" r=".6" fill="currentColor"/>',
};

const GROUPS = [
  [["pan", "Move the map (V)"], ["lasso", "Lasso (L)"], ["box", "Box (B)"]],
  [
    ["new", "New selection"],
    ["add", "Add to the selection (Shift)"],
    ["subtract", "Take away from the selection (Alt)"],
    ["intersect", "Keep what is in both (Shift + Alt)"],
  ],
  [["clear", "Clear the selection (Esc)"]],
  [["zoomIn", "Zoom in (+)"], ["zoomOut", "Zoom out (−)"], ["fit", "Reset the view; once more: outliers, too (0, double click)"]],
  [["names", "Names of islands (N)"], ["density", "Density or points (D)"], ["picture", "Save as PNG (P)"], ["full", "Full screen (F)"], ["help", "Keys (?)"]],
];

const KEYS = [
  ["Drag; click, then wheel", "move and zoom"], ["Ctrl + wheel", "zoom"],
  ["Arrows, + −, 0", "move, zoom, reset the view"], ["Double click", "reset the view"],
  ["L, B, V", "lasso, box, move"], ["Shift, Alt, both", "add, take away, keep common"],
  ["Shift or Alt + drag", "lasso without the button"], ["Enter, Shift + Enter", "next hit, the one before; without hits the point at the cross"],
  ["Esc", "cancel, then clear"], ["N, D, P, F", "names, density, PNG, full screen"],
];

export class Toolbar {
  /** @param {(name: string) => void} onPress a button was pressed, named as in ICONS */
  constructor(parent, onPress) {
    this.element = document.createElement("div");
    this.element.className = "lm-toolbar";
    this.element.setAttribute("role", "toolbar");
    this.element.setAttribute("aria-label", "Map tools");
    this.buttons = {};
    this.groups = GROUPS.map((group) => {
      const box = document.createElement("div");
      box.className = "lm-group";
      for (const [name, title] of group) {
        const button = document.createElement("button");
        button.type = "button";
        button.title = title;
        button.setAttribute("aria-label", title);
        button.dataset.tool = name;
        button.innerHTML = stroke(ICONS[name]);
        button.onclick = () => onPress(name);
        this.buttons[name] = button;
        box.append(button);
      }
      this.element.append(box);
      return box;
    });
    this.help = document.createElement("dl");
    this.help.className = "lm-help";
    this.help.hidden = true;
    for (const [keys, what] of KEYS) {
      const term = document.createElement("dt"), entry = document.createElement("dd");
      term.textContent = keys;
      entry.textContent = what;
      this.help.append(term, entry);
    }
    parent.append(this.element, this.help);
  }

  update({ tool, op, selected, density, anyDensity, names, anyNames }) {
    for (const name of ["pan", "lasso", "box"]) this.press(name, tool === name);
    for (const name of ["new", "add", "subtract", "intersect"]) this.press(name, op === name);
    this.press("density", density);
    this.press("names", names);
    this.buttons.names.hidden = !anyNames;
    this.buttons.density.hidden = !anyDensity;
    this.groups[1].hidden = tool === "pan";
    this.groups[2].hidden = !selected;
  }

  press(name, on) {
    this.buttons[name].setAttribute("aria-pressed", String(on));
  }
}
