// Entry: Streamlit calls this at each run that changes the data or the theme, and the returned function at the end.
import { LatentMap } from "./map.js";

const maps = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".lm");
  const entry = maps.get(root) ?? { map: new LatentMap(root), calls: 0 };
  maps.set(root, entry);
  const call = ++entry.calls;
  entry.map.update(data, { state: setStateValue, trigger: setTriggerValue });
  return () => {
    // Streamlit also ends calls that a later one has overtaken; the map goes with the last.
    if (call !== entry.calls) return;
    maps.delete(root);
    entry.map.dispose();
  };
}
