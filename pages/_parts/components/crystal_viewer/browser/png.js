// A line of text inside a PNG, where programs that read pictures look for it.

const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});
const checksum = (bytes) => (bytes.reduce((sum, byte) => TABLE[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
const HEAD = 33; // bytes of the signature and of the first chunk, which says how large the picture is

/** Return a PNG with an international text chunk ("iTXt", not compressed, no language) behind its first chunk. */
export async function described(blob, keyword, text) {
  const picture = new Uint8Array(await blob.arrayBuffer());
  const content = new TextEncoder().encode(`iTXt${keyword}\0\0\0\0\0${text}`);
  const chunk = new Uint8Array(content.length + 8), view = new DataView(chunk.buffer);
  view.setUint32(0, content.length - 4);
  chunk.set(content, 4);
  view.setUint32(content.length + 4, checksum(content));
  return new Blob([picture.slice(0, HEAD), chunk, picture.slice(HEAD)], { type: "image/png" });
}
