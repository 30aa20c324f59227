// A histogram whose bins are chosen by dragging, or by two handles: arrows move one, Home and End send it to its end.

const brushes = new WeakMap();
const short = (value) => Number(value.toPrecision(4)).toString().replace("-", "−");

class Brush {
  constructor(root) {
    this.root = root;
    const make = (tag, className, parent = root) => {
      const element = Object.assign(document.createElement(tag), { className });
      parent.append(element);
      return element;
    };
    this.plot = make("div", "vb-plot");
    this.bars = make("div", "vb-bars", this.plot);
    this.handles = ["lowest", "highest"].map((name, end) => {
      const handle = make("div", "vb-handle", this.plot);
      handle.tabIndex = 0;
      handle.setAttribute("role", "slider");
      handle.addEventListener("keydown", (event) => this.onKey(event, end, name));
      handle.addEventListener("blur", () => this.send());
      return handle;
    });
    this.foot = make("div", "vb-foot");
    this.plot.addEventListener("pointerdown", (event) => this.onDown(event));
    this.plot.addEventListener("dblclick", () => this.put(0, this.n, true));
  }

  update(data, tell) {
    this.data = data;
    this.tell = tell;
    this.n = data.counts.length;
    const { edges, chosen } = data, at = (value, up) => {
      const found = edges.findIndex((edge) => (up ? edge >= value - 1e-9 * Math.abs(value) : edge > value + 1e-9 * Math.abs(value)));
      return found < 0 ? this.n : up ? found : Math.max(0, found - 1);
    };
    this.low = chosen ? at(chosen[0], false) : 0;
    this.high = chosen ? Math.max(this.low + 1, at(chosen[1], true)) : this.n;
    this.sent = `${this.low} ${this.high}`;
    const most = Math.max(...data.counts);
    this.bars.replaceChildren(...data.counts.map((count) => {
      const bar = document.createElement("div");
      // By the root, so that a rare value is seen beside a common one.
      bar.style.height = count ? `${Math.max(6, 100 * Math.sqrt(count / most))}%` : "0";
      return bar;
    }));
    this.draw();
  }

  /** Values of the chosen bins: whole numbers stand in the middle of theirs. */
  ends() {
    const { edges, whole } = this.data, half = whole ? 0.5 : 0;
    return [edges[this.low] + half, edges[this.high] - half];
  }

  draw() {
    const { title, unit, counts } = this.data, [low, high] = this.ends(), all = this.low === 0 && this.high === this.n;
    [...this.bars.children].forEach((bar, i) => bar.classList.toggle("vb-in", i >= this.low && i < this.high));
    const kept = counts.slice(this.low, this.high).reduce((sum, count) => sum + count, 0).toLocaleString("en-US");
    this.handles.forEach((handle, end) => {
      handle.style.left = `${(100 * (end ? this.high : this.low)) / this.n}%`;
      handle.setAttribute("aria-label", `${end ? "highest" : "lowest"} ${title}`);
      handle.setAttribute("aria-valuenow", String(this.ends()[end]));
      handle.setAttribute("aria-valuetext", `${short(this.ends()[end])} ${unit}`);
    });
    const what = `${short(low)} to ${short(high)} ${unit}`.trim();
    this.foot.textContent = all ? `${what} · drag over a range` : `${what} · ${kept} · double click: all`;
  }

  put(low, high, done) {
    this.low = low;
    this.high = high;
    this.draw();
    if (done) this.send();
  }

  send() {
    const now = `${this.low} ${this.high}`;
    if (now === this.sent) return;
    this.sent = now;
    const [low, high] = this.ends();
    this.tell("range", this.low === 0 && this.high === this.n ? { all: true } : { low, high });
  }

  onDown(event) {
    event.preventDefault();
    const box = this.plot.getBoundingClientRect();
    const place = (each) => Math.min(this.n, Math.max(0, ((each.clientX - box.left) / box.width) * this.n));
    const from = place(event), reach = (8 / box.width) * this.n, before = [this.low, this.high];
    const end = [this.low, this.high].findIndex((edge) => Math.abs(edge - from) < reach);
    const move = (each) => {
      const to = place(each);
      if (end === 0) this.put(Math.min(Math.round(to), this.high - 1), this.high);
      else if (end === 1) this.put(this.low, Math.max(Math.round(to), this.low + 1));
      else if (Math.abs(to - from) > 0.3) {
        const low = Math.floor(Math.min(from, to)), high = Math.ceil(Math.max(from, to));
        this.put(low, Math.max(high, low + 1));
      }
    };
    const done = (each) => {
      this.plot.removeEventListener("pointermove", move);
      if (each.type === "pointercancel") this.put(...before);
      this.send();
    };
    this.plot.setPointerCapture(event.pointerId);
    this.plot.addEventListener("pointermove", move);
    this.plot.addEventListener("pointerup", done, { once: true });
    this.plot.addEventListener("pointercancel", done, { once: true });
  }

  onKey(event, end) {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -this.n, End: this.n }[event.key];
    if (event.key === "Enter") this.send();
    else if (event.key === "Escape") this.put(0, this.n, true);
    else if (!step) return;
    else if (end) this.put(this.low, Math.min(this.n, Math.max(this.low + 1, this.high + step)));
    else this.put(Math.max(0, Math.min(this.high - 1, this.low + step)), this.high);
    event.preventDefault();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.send(), 600);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".vb");
  const brush = brushes.get(root) ?? new Brush(root);
  brushes.set(root, brush);
  brush.update(data, setTriggerValue);
}
