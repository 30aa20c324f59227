// The map as a PNG for slides: points, lines, legend, title and count, at twice the screen's detail or more.
import { paintLegend } from "../controls/legend.js";
import { drawOverlay } from "./overlay.js";
import { cssColor } from "./theme.js";

const HEADER = 46, FOOTER = 30;

/** @returns a canvas with the picture of `map` */
export function pictureOf(map) {
  const { camera, theme, data } = map, ratio = Math.max(2, window.devicePixelRatio);
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  canvas.width = Math.round(camera.width * ratio);
  canvas.height = Math.round((camera.height + HEADER + FOOTER) * ratio);
  context.scale(ratio, ratio);
  context.fillStyle = cssColor(theme.background);
  context.fillRect(0, 0, camera.width, camera.height + HEADER + FOOTER);

  map.renderer.draw(map.view({ ratio, shown: map.total }));
  context.save();
  context.translate(0, HEADER);
  context.beginPath();
  context.rect(0, 0, camera.width, camera.height);
  context.clip();
  // Copied in the same task as it was drawn: a WebGL canvas is empty again afterwards.
  context.drawImage(map.renderer.canvas, 0, 0, camera.width, camera.height);
  drawOverlay(context, map);
  if (data.coloring) paintLegend(context, data.coloring, map.palette, map.off, theme, camera.width - 12, 8);
  context.restore();

  context.fillStyle = cssColor(theme.text);
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 20px ${theme.font}`;
  context.fillText(data.title, 16, HEADER / 2 + 2);
  context.font = `400 13px ${theme.font}`;
  context.fillText(map.summary(), 16, camera.height + HEADER + FOOTER / 2);
  context.textAlign = "right";
  context.fillText(data.axisLabels.filter(Boolean).join(" × "), camera.width - 16, camera.height + HEADER + FOOTER / 2);
  map.draw();
  return canvas;
}

/** Let the browser save the picture. */
export function savePicture(map) {
  pictureOf(map).toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${map.data.title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "map"}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}
