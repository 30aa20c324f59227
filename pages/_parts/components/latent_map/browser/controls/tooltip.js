// The card beside the pointer. Everything in it is set as text, never as HTML: formulas may come from a file.

/** A formula with its counts as subscripts, as nodes. */
export function formulaNodes(text) {
  if (!/^([A-Z][a-z]?[\d.]*|[()\[\]][\d.]*|[·-])+$/.test(text)) return [document.createTextNode(text)];
  return text.split(/(\d+(?:\.\d+)?)/).filter(Boolean).map((part) => {
    if (!/^\d/.test(part)) return document.createTextNode(part);
    const sub = document.createElement("sub");
    sub.textContent = part;
    return sub;
  });
}

export class Tooltip {
  constructor(parent) {
    this.element = document.createElement("div");
    this.element.className = "lm-tooltip";
    this.element.hidden = true;
    parent.append(this.element);
  }

  hide() { this.element.hidden = true; }

  /** Show `values` of `fields` near (x, y); the first field is the heading. */
  show(fields, values, x, y, width, height) {
    const head = document.createElement("div");
    head.className = "lm-tooltip-head";
    head.append(...formulaNodes(values[0] ?? ""));
    const rows = fields.slice(1).flatMap(({ label, unit }, i) => {
      const value = values[i + 1];
      if (!value) return [];
      const name = document.createElement("dt"), entry = document.createElement("dd");
      name.textContent = label;
      entry.textContent = unit ? `${value} ${unit}` : value;
      return [name, entry];
    });
    const list = document.createElement("dl");
    list.append(...rows);
    this.element.replaceChildren(head, ...(rows.length ? [list] : []));
    this.element.hidden = false;
    const { offsetWidth, offsetHeight } = this.element;
    const left = x + 16 + offsetWidth < width ? x + 16 : x - 16 - offsetWidth;
    const top = Math.min(Math.max(8, y - offsetHeight / 2), height - offsetHeight - 8);
    this.element.style.transform = `translate(${Math.round(Math.max(8, left))}px, ${Math.round(top)}px)`;
  }
}
