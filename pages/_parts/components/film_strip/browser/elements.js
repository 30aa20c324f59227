// Small parts of which the strip and the presentation are built.

export const MARKS = { yes: "✓", undecided: "?", no: "✕" };

export function element(name, className, attributes = {}, text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

const SYMBOL = "http://www.w3.org/2000/svg";
const PATHS = {
  play: "M6 4l10 6-10 6z",
  pause: "M5 4h4v12H5zM11 4h4v12h-4z",
  back: "M13 4l-7 6 7 6z",
  next: "M7 4l7 6-7 6z",
  loop: "M4 9V7a2 2 0 0 1 2-2h7V2l4 4-4 4V7H6v2zM16 11v2a2 2 0 0 1-2 2H7v3l-4-4 4-4v3h7v-2z",
  present: "M2 3h16v11H2zM4 5v7h12V5zM8 6.5l4.5 2.5L8 11.5zM9 15h2v3H9z",
  leave: "M5 4l5 5 5-5 1.5 1.5-5 5 5 5L15 17l-5-5-5 5-1.5-1.5 5-5-5-5z",
};

export function icon(name) {
  const drawn = document.createElementNS(SYMBOL, "svg");
  drawn.setAttribute("viewBox", "0 0 20 20");
  drawn.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SYMBOL, "path");
  path.setAttribute("d", PATHS[name]);
  path.setAttribute("fill-rule", "evenodd");
  drawn.append(path);
  return drawn;
}

export function button(name, title, act, text = "") {
  const made = element("button", `fs-button fs-${name}`, { type: "button", title, "aria-label": title });
  made.append(icon(name));
  if (text) made.append(text);
  made.addEventListener("click", act);
  return made;
}

export function relabel(made, name, title) {
  made.title = title;
  made.setAttribute("aria-label", title);
  made.replaceChildren(icon(name));
}

export function pictureOf(frame, className) {
  const picture = element("img", className, { alt: "", draggable: "false" });
  picture.src = "data:image/svg+xml;utf8," + encodeURIComponent(frame.picture);
  return picture;
}

// "Mg(HO2)2" with its numbers below the line, broken before elements and opening brackets alone.
export function withSubscripts(formula) {
  return formula.split(/(?=\()|(?<!\()(?=[A-Z])/).map((part) => {
    const whole = element("span", "fs-symbol");
    part.split(/([\d.]+)/).forEach((text, i) => {
      if (text) whole.append(i % 2 ? element("sub", "", {}, text) : text);
    });
    return whole;
  });
}
