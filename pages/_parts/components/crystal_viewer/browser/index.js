// Entry: Streamlit calls this at each run that changes the data or the theme, and the returned function at the end.
import { CrystalViewer } from "./viewer.js";

const instances = new WeakMap();

export default function (component) {
  const root = component.parentElement.querySelector(".crystal-viewer");
  let viewer = instances.get(root);
  if (!viewer || viewer.released) instances.set(root, (viewer = new CrystalViewer(root)));
  viewer.runs = (viewer.runs ?? 0) + 1;
  const { runs } = viewer;
  viewer.update(component.data, component.setStateValue);
  // Streamlit also cleans up after a run that a newer one has overtaken: only the last run may end the viewer.
  return () => setTimeout(() => viewer.runs === runs && viewer.end(), 50);
}
