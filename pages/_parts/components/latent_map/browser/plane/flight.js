// How the view moves by itself: to where the page asks, to a point that was opened, and back to the points.

const FLIGHT = 450; // ms from one view to another

/** Go to a view, so that the eye can follow. */
export function fly(map, to) {
  const { camera } = map, from = camera.get(), start = performance.now(), flight = (map.flight = {});
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  map.moving = true;
  map.root.dataset.state = "moving";
  const step = (now) => {
    if (map.flight !== flight || map.disposed) return;
    const share = still ? 1 : Math.min(1, Math.max(0, (now - start) / FLIGHT));
    camera.between(from, to, share * share * (3 - 2 * share));
    if (share === 1) {
      camera.set(to);
      map.moving = false;
      map.flight = null;
      map.remember();
      map.sayCount();
    } else requestAnimationFrame(step);
    map.draw();
  };
  requestAnimationFrame(step);
}

/** Move so that a point is in view; one that is stays where it is. */
export function keepInView(map, i) {
  const { width, height } = map.camera, [x, y] = map.pointToScreen(i), edge = 0.08 * Math.min(width, height);
  if (x >= edge && y >= edge && x <= width - edge && y <= height - edge) return;
  fly(map, { ...map.camera.get(), x: map.xy[2 * i], y: map.xy[2 * i + 1] });
}

/** Where a view holds no point, move it to the nearest: the map is never lost. */
export function keepInSight({ camera, grid, xy }) {
  const any = () => true, reach = (0.45 * Math.min(camera.width, camera.height)) / camera.scale;
  let near = grid.nearest(camera.x, camera.y, reach, any);
  if (near >= 0) return;
  for (let wider = 2 * reach; near < 0 && wider < 16; wider *= 2) near = grid.nearest(camera.x, camera.y, wider, any);
  if (near < 0) return;
  const dx = xy[2 * near] - camera.x, dy = xy[2 * near + 1] - camera.y, far = 1 - reach / Math.hypot(dx, dy);
  camera.x += dx * far;
  camera.y += dy * far;
}
