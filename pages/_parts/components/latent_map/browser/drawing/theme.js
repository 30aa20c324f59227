// Colors and type of the page round the map, read from Streamlit's CSS variables.

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** Any CSS color as [r, g, b] of 0 to 255, laid over `under` where it is translucent. */
export function rgbOf(color, under = [255, 255, 255]) {
  probe.canvas.width = probe.canvas.height = 1;
  probe.fillStyle = `rgb(${under.join(",")})`;
  probe.fillRect(0, 0, 1, 1);
  probe.fillStyle = color;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

export const mix = (a, b, t) => a.map((value, i) => Math.round(value + (b[i] - value) * t));

export const cssColor = (rgb, alpha = 1) => `rgba(${rgb.join(",")},${alpha})`;

export function readTheme(element) {
  const style = getComputedStyle(element);
  const variable = (name, fallback) => style.getPropertyValue(`--st-${name}`).trim() || fallback;
  const background = rgbOf(variable("background-color", "#ffffff"));
  const text = rgbOf(variable("text-color", "#31333f"), background);
  const luminance = (0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]) / 255;
  return {
    dark: luminance < 0.5,
    background,
    text,
    primary: rgbOf(variable("primary-color", "#0072b2"), background),
    muted: mix(background, text, luminance < 0.5 ? 0.3 : 0.22),
    missing: mix(background, text, 0.42),
    ranked: luminance < 0.5 ? [238, 136, 102] : [213, 94, 0],
    font: variable("font", "sans-serif"),
  };
}

/** The 256 colors that codes stand for, as RGBA bytes; alpha 0 marks a class switched off in the legend. */
export function paletteOf(coloring, theme, off) {
  const table = new Uint8Array(256 * 4);
  const put = (code, rgb) => table.set([...rgb, off.has(code) ? 0 : 255], 4 * code);
  if (!coloring) {
    for (let code = 0; code < 256; code++) put(code, theme.dark ? [86, 180, 233] : [0, 114, 178]);
    return table;
  }
  const hex = theme.dark ? coloring.dark : coloring.light;
  for (let code = 0; code < hex.length / 6; code++) {
    put(code, [0, 2, 4].map((k) => parseInt(hex.slice(6 * code + k, 6 * code + k + 2), 16)));
  }
  put(254, mix(theme.missing, theme.text, 0.35));
  put(255, theme.missing);
  return table;
}
