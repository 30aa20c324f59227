// Where the steps lie: the cloud of known materials in gray, the way as a line, the step that is looked at in color.

export function sketch(canvas, { points, steps, outside, line_from: from }, current) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const ratio = Math.max(1, window.devicePixelRatio || 1);
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const paint = canvas.getContext("2d"), style = getComputedStyle(canvas);
  paint.scale(ratio, ratio);
  const side = Math.min(width, height) - 24, left = (width - side) / 2, top = (height - side) / 2;
  const at = ([x, y]) => [left + x * side, top + (1 - y) * side];
  const text = style.color, accent = style.getPropertyValue("--st-primary-color").trim() || "#0a6c94";
  const size = Math.max(1, side / 260);
  paint.globalAlpha = 0.28;
  paint.fillStyle = text;
  for (const point of points) {
    const [x, y] = at(point);
    paint.fillRect(x - size / 2, y - size / 2, size, size);
  }
  paint.globalAlpha = 1;
  paint.strokeStyle = paint.fillStyle = accent;
  paint.lineWidth = Math.max(2, side / 150);
  if (from !== null) {
    paint.beginPath();
    steps.slice(from).forEach((step, i) => paint[i ? "lineTo" : "moveTo"](...at(step)));
    paint.stroke();
  }
  const radius = Math.max(3, side / 80);
  const ground = style.getPropertyValue("--st-background-color").trim() || "#fff";
  steps.forEach((step, i) => {
    paint.beginPath();
    paint.arc(...at(step), radius, 0, 2 * Math.PI);
    paint.fillStyle = outside.includes(i) ? ground : accent;
    paint.fill();
    paint.stroke();
  });
  if (current === null) return;
  paint.beginPath();
  paint.arc(...at(steps[current]), 2.6 * radius, 0, 2 * Math.PI);
  paint.lineWidth = radius;
  paint.strokeStyle = text;
  paint.stroke();
}
