// Rows as they stand on the page: periods 1 to 7, then the lanthanides and actinides; "." is an empty place.
const ROWS = [
  "H . . . . . . . . . . . . . . . . He",
  "Li Be . . . . . . . . . . B C N O F Ne",
  "Na Mg . . . . . . . . . . Al Si P S Cl Ar",
  "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
  "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe",
  "Cs Ba La Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
  "Fr Ra Ac Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
  ". . . Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu .",
  ". . . Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr .",
].map((row) => row.split(" "));

const NAMES = (
  "Hydrogen Helium Lithium Beryllium Boron Carbon Nitrogen Oxygen Fluorine Neon Sodium Magnesium Aluminium Silicon " +
  "Phosphorus Sulfur Chlorine Argon Potassium Calcium Scandium Titanium Vanadium Chromium Manganese Iron Cobalt Nickel " +
  "Copper Zinc Gallium Germanium Arsenic Selenium Bromine Krypton Rubidium Strontium Yttrium Zirconium Niobium " +
  "Molybdenum Technetium Ruthenium Rhodium Palladium Silver Cadmium Indium Tin Antimony Tellurium Iodine Xenon Caesium " +
  "Barium Lanthanum Cerium Praseodymium Neodymium Promethium Samarium Europium Gadolinium Terbium Dysprosium Holmium " +
  "Erbium Thulium Ytterbium Lutetium Hafnium Tantalum Tungsten Rhenium Osmium Iridium Platinum Gold Mercury Thallium " +
  "Lead Bismuth Polonium Astatine Radon Francium Radium Actinium Thorium Protactinium Uranium Neptunium Plutonium " +
  "Americium Curium Berkelium Californium Einsteinium Fermium Mendelevium Nobelium Lawrencium Rutherfordium Dubnium " +
  "Seaborgium Bohrium Hassium Meitnerium Darmstadtium Roentgenium Copernicium Nihonium Flerovium Moscovium Livermorium " +
  "Tennessine Oganesson"
).split(" ");

// Symbols in the order of atomic numbers: the f rows belong between groups 3 and 4.
const SYMBOLS = [
  ...ROWS.slice(0, 5).flat(),
  ...ROWS[5].slice(0, 3), ...ROWS[7].slice(3), ...ROWS[5].slice(3),
  ...ROWS[6].slice(0, 3), ...ROWS[8].slice(3), ...ROWS[6].slice(3),
].filter((symbol) => symbol !== ".");

const NEXT = { never: "may", may: "must", must: "never" };
const KEYS = { m: "must", a: "may", n: "never", Delete: "never" };
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const tables = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".pt");
  let table = tables.get(root);
  if (!table) {
    table = build(root);
    table.change = data.seen;
    tables.set(root, table);
  }
  table.send = (choice) => setStateValue("choice", choice);
  // While a newer click of the visitor is on its way to the server, what comes back is already old.
  if (data.seen >= table.change) show(table, data);
}

function build(root) {
  const table = { cells: new Map(), states: {}, change: 0, focus: "H" };
  const grid = element("div", "grid", { role: "grid", "aria-label": "Periodic table: must, may or never" });
  ROWS.forEach((row, r) => {
    const line = element("div", "line", { role: "row" });
    row.forEach((symbol, c) => {
      if (symbol === ".") return;
      const cell = element("button", "cell", { role: "gridcell", type: "button", tabindex: "-1" });
      const number = SYMBOLS.indexOf(symbol) + 1;
      cell.style.gridColumn = c + 1;
      cell.style.gridRow = r < 7 ? r + 1 : r + 2; // an empty row sets the f block apart
      const small = element("span", "number");
      small.textContent = number;
      const large = element("span", "symbol");
      large.textContent = symbol;
      cell.append(small, large, element("span", "bar"));
      cell.dataset.symbol = symbol;
      cell.addEventListener("click", () => set(table, symbol, NEXT[table.states[symbol]]));
      cell.addEventListener("keydown", (event) => onKey(table, event, symbol, r, c));
      cell.addEventListener("focus", () => roam(table, symbol));
      table.cells.set(symbol, cell);
      line.append(cell);
    });
    grid.append(line);
  });
  const legend = element("div", "legend", { "aria-hidden": "true" });
  for (const [state, text] of [["must", "must"], ["may", "may"], ["never", "never"]]) {
    const item = element("span", "item");
    item.append(element("span", `swatch ${state}`), document.createTextNode(text));
    legend.append(item);
  }
  table.scale = element("span", "item scale");
  legend.append(table.scale);
  grid.append(legend);
  root.append(grid);
  roam(table, "H");
  return table;
}

function show(table, data) {
  const must = new Set(data.must), may = new Set(data.may);
  const values = Object.values(data.values), low = Math.min(...values), high = Math.max(...values);
  for (const [symbol, cell] of table.cells) {
    table.states[symbol] = must.has(symbol) ? "must" : may.has(symbol) ? "may" : "never";
    const reason = data.unavailable[symbol];
    cell.setAttribute("aria-disabled", reason ? "true" : "false");
    const value = data.values[symbol];
    const bar = cell.querySelector(".bar");
    bar.hidden = value === undefined;
    if (value !== undefined) {
      const share = high > low ? (high - value) / (high - low) : 1;
      bar.style.setProperty("--share", `${Math.round(15 + 85 * share)}%`);
    }
    cell.dataset.note = [
      reason,
      value === undefined ? "" : `${data.valuesLabel}: ${value.toPrecision(4)}`,
      data.notes[symbol],
    ].filter(Boolean).join("; ");
    paint(table, symbol);
  }
  table.scale.textContent = values.length
    ? `bar: ${data.valuesLabel}, ${low.toPrecision(4)} (full color) to ${high.toPrecision(4)}`
    : "";
}

function paint(table, symbol) {
  const cell = table.cells.get(symbol), state = table.states[symbol];
  const off = cell.getAttribute("aria-disabled") === "true";
  cell.className = `cell ${off ? "off" : state}`;
  const label = [`${NAMES[SYMBOLS.indexOf(symbol)]}, ${off ? "not available" : state}`, cell.dataset.note];
  cell.setAttribute("aria-label", label.filter(Boolean).join("; "));
  cell.title = label.filter(Boolean).join("\n");
}

function set(table, symbol, state) {
  if (table.cells.get(symbol).getAttribute("aria-disabled") === "true") return;
  table.states[symbol] = state;
  paint(table, symbol);
  const having = (wanted) => SYMBOLS.filter((each) => table.states[each] === wanted);
  table.change += 1;
  table.send({ must: having("must"), may: having("may"), change: table.change });
}

function onKey(table, event, symbol, row, column) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (KEYS[key]) {
    event.preventDefault();
    set(table, symbol, KEYS[key]);
  } else if (MOVES[key]) {
    event.preventDefault();
    const [down, right] = MOVES[key];
    let r = row + down, c = column + right;
    while (ROWS[r]?.[c] === ".") { r += down; c += right; }
    if (ROWS[r]?.[c]) table.cells.get(ROWS[r][c]).focus();
  }
}

function roam(table, symbol) {
  table.cells.get(table.focus).tabIndex = -1;
  table.cells.get(symbol).tabIndex = 0;
  table.focus = symbol;
}

function element(tag, className, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
