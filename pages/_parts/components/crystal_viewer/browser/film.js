// Frames of one picture, one after the other: played, or looked at one by one. It needs no run of the page.
import { Panel } from "./panel.js";

const WAIT = 180; // ms a frame
const PLAY = '<svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d="M6 4l10 6-10 6z" fill="currentColor"/></svg>';
const PAUSE = '<svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d="M5 4h4v12H5zM11 4h4v12h-4z" fill="currentColor"/></svg>';

export class Film {
  constructor(viewer) {
    this.viewer = viewer;
    this.bar = viewer.part.film;
    this.bar.innerHTML = '<button type="button"></button><input type="range" min="0" step="1"><span class="told"></span>';
    [this.button, this.slider, this.told] = this.bar.children;
    this.button.onclick = () => this.toggle();
    this.slider.oninput = () => {
      this.stop();
      this.show(Number(this.slider.value));
    };
    this.name();
  }

  /** Another film begins at its end; of the same one the frame that is looked at stays. */
  update(given) {
    this.bar.hidden = !given;
    if (!given || given.id === this.id) return;
    this.stop();
    this.id = given.id;
    this.panel = given.panel;
    this.frames = given.frames.map(({ scene, caption, told }) => Object.assign(new Panel(scene), { caption, told, index: given.panel }));
    // One scale for all: what shrinks is seen to shrink.
    const largest = (name) => Math.max(...this.frames.map((frame) => frame[name]));
    const [cellRadius, wholeRadius] = [largest("cellRadius"), largest("wholeRadius")];
    for (const frame of this.frames) Object.assign(frame, { cellRadius, wholeRadius });
    this.slider.max = this.frames.length - 1;
    this.slider.setAttribute("aria-label", given.about);
    this.show(this.frames.length - 1);
  }

  show(at) {
    const { viewer } = this;
    this.at = at;
    const frame = Object.assign(this.frames[at], { id: viewer.panels[this.panel].id });
    viewer.panels[this.panel] = frame;
    viewer.picked = { panel: 0, rows: [] };
    viewer.hover = null;
    this.slider.value = at;
    this.slider.setAttribute("aria-valuetext", frame.told);
    this.told.textContent = frame.told;
    viewer.refresh();
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.at === this.frames.length - 1) this.show(0);
    this.timer = setInterval(() => {
      this.show(this.at + 1);
      if (this.at === this.frames.length - 1) this.stop();
    }, WAIT);
    this.name();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.name();
  }

  name() {
    this.button.innerHTML = this.timer ? PAUSE : PLAY;
    this.button.title = this.timer ? "Pause" : "Play";
    this.button.setAttribute("aria-label", this.button.title);
  }
}
