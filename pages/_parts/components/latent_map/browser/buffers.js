// Fetching: each buffer once, kept over page changes; hover texts a block at a time.

const KEPT = 8; // buffers held: positions, colors and selection of the last two maps or so
const kept = new Map();

// The app may live under a path of its own; its scripts say which.
function appUrl(path) {
  const script = document.querySelector('script[src*="/static/js/"]');
  const base = script ? script.src.replace(/static\/js\/.*$/, "") : `${location.origin}/`;
  return new URL(path.replace(/^\//, ""), base).href;
}

async function fetchRange(path, range, tries = 8) {
  // A range keeps the server from compressing megabytes of floats anew for every visitor.
  const response = await fetch(appUrl(path), { headers: { Range: `bytes=${range}` } });
  // While a page runs again, the end of another visitor's run may take its buffers away until it shows them again.
  if (response.status === 404 && tries > 1) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    return fetchRange(path, range, tries - 1);
  }
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.arrayBuffer();
}

/** A whole buffer; the promise is shared by all who ask while it is kept. */
export function fetchBuffer(path) {
  let promise = kept.get(path);
  if (promise) kept.delete(path); // to the end of the line
  else {
    promise = fetchRange(path, "0-");
    promise.catch(() => kept.delete(path));
  }
  kept.set(path, promise);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return promise;
}

/** Texts of points, fetched in blocks of rows as the pointer meets them. */
export class HoverRows {
  constructor(hover) {
    this.hover = hover;
    this.blocks = new Map();
  }

  offsets() {
    this.header ??= fetchRange(this.hover.url, `0-${4 * (this.hover.blocks + 1) - 1}`).then((b) => new Uint32Array(b));
    this.header.catch(() => (this.header = undefined));
    return this.header;
  }

  /** The fields of point `i`, as strings. */
  async row(i) {
    const block = Math.floor(i / this.hover.rowsPerBlock);
    if (!this.blocks.has(block)) {
      const rows = this.fetchBlock(block);
      this.blocks.set(block, rows);
      rows.catch(() => this.blocks.delete(block));
      if (this.blocks.size > 400) this.blocks.delete(this.blocks.keys().next().value);
    }
    return (await this.blocks.get(block))[i % this.hover.rowsPerBlock];
  }

  async fetchBlock(block) {
    const offsets = await this.offsets();
    const bytes = await fetchRange(this.hover.url, `${offsets[block]}-${offsets[block + 1] - 1}`);
    return new TextDecoder().decode(bytes).split("\n").map((row) => row.split("\t"));
  }
}
