// Entry: Streamlit calls this at each run that changes the data or the theme, and the returned function at the end.
import { Strip } from "./strip.js";

const strips = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".fs");
  let strip = strips.get(root);
  if (!strip || strip.ended) strips.set(root, (strip = new Strip(root)));
  strip.runs = (strip.runs ?? 0) + 1;
  const { runs } = strip;
  strip.update(data, (number) => setTriggerValue("chosen", number));
  // Streamlit also cleans up after a run that a newer one has overtaken: only the last run may end the strip.
  return () => setTimeout(() => strip.runs === runs && strip.end(), 50);
}
