// Points by WebGL 2: round and smooth where they stand apart, counted per pixel and toned where they crowd.

const POINTS_VERTEX = `#version 300 es
layout(location = 0) in vec2 position;
layout(location = 1) in uvec4 style;  // code, selected
uniform vec2 center, toClip;
uniform float size;
uniform bool wantLit, anySelected;
uniform vec3 mutedColor;
uniform sampler2D palette;
flat out vec3 color;
void main() {
  vec4 entry = texelFetch(palette, ivec2(style.x, 0), 0);
  bool lit = entry.a > 0.5 && (!anySelected || style.y > 0u);
  color = lit ? entry.rgb : mutedColor;
  gl_PointSize = size;
  gl_Position = lit == wantLit ? vec4((position - center) * toClip, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
}`;

const DISC_FRAGMENT = `#version 300 es
precision highp float;
flat in vec3 color;
uniform float size, opacity;
uniform vec3 rim;
out vec4 result;
void main() {
  float radius = 0.5 * size - 0.75;
  float away = length(gl_PointCoord - 0.5) * size;
  float cover = clamp(radius + 0.5 - away, 0.0, 1.0) * opacity;
  if (cover <= 0.0) discard;
  // A thin rim in the page's color keeps neighbors apart once points are large enough to carry one.
  float edge = smoothstep(4.5, 8.0, size) * smoothstep(radius - 1.3, radius - 0.3, away);
  result = vec4(mix(color, rim, 0.65 * edge) * cover, cover);
}`;

const COUNT_FRAGMENT = `#version 300 es
precision highp float;
flat in vec3 color;
uniform float weight;
out vec4 result;
void main() { result = vec4(color, 1.0) * weight; }`;

const SCREEN_VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(float((gl_VertexID & 1) << 2) - 1.0, float((gl_VertexID & 2) << 1) - 1.0, 0.0, 1.0);
}`;

const TONE_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D counts;
uniform float ratio, reference, ceiling;  // pixels of the screen to one of the counts; a crowded pixel's count
out vec4 result;
vec4 near(ivec2 at, int dx, int dy) {
  return texelFetch(counts, clamp(at + ivec2(dx, dy), ivec2(0), textureSize(counts, 0) - 1), 0);
}
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy / ratio);
  vec4 sum = 4.0 * near(at, 0, 0) + 2.0 * (near(at, 1, 0) + near(at, -1, 0) + near(at, 0, 1) + near(at, 0, -1))
    + near(at, 1, 1) + near(at, -1, 1) + near(at, 1, -1) + near(at, -1, -1);
  float count = sum.a / 16.0;
  if (count <= 0.0) discard;
  float tone = clamp(log(1.0 + 4.0 * count) / log(1.0 + 4.0 * reference), 0.0, 1.0);
  float cover = mix(0.16, ceiling, tone) * min(1.0, 6.0 * count);
  result = vec4(sum.rgb / sum.a * cover, cover);
}`;

export class GLRenderer {
  /** @returns a renderer, or null where the browser has no WebGL 2 */
  static create(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true, powerPreference: "high-performance" });
    return gl && new GLRenderer(canvas, gl);
  }

  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.name = "webgl";
    this.setUp();
    this.onLost = (event) => event.preventDefault(); // asks the browser to give the context back
    canvas.addEventListener("webglcontextlost", this.onLost);
  }

  /** Make everything that lives in the context; again when a lost context has come back. */
  setUp() {
    const { gl } = this;
    // Counts pass 2048, where half floats stop adding ones, so full floats are asked for first.
    const float = gl.getExtension("EXT_color_buffer_float");
    this.countFormat = float && gl.getExtension("EXT_float_blend") ? gl.RGBA32F : float ? gl.RGBA16F : null;
    this.disc = this.program(POINTS_VERTEX, DISC_FRAGMENT);
    this.count = this.program(POINTS_VERTEX, COUNT_FRAGMENT);
    this.tone = this.program(SCREEN_VERTEX, TONE_FRAGMENT);
    this.vertices = gl.createVertexArray();
    this.empty = gl.createVertexArray();
    this.positions = gl.createBuffer();
    this.styles = gl.createBuffer();
    gl.bindVertexArray(this.vertices);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.positions);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.styles);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribIPointer(1, 4, gl.UNSIGNED_BYTE, 0, 0);
    this.palette = this.texture();
    this.counts = this.texture();
    this.frame = gl.createFramebuffer();
    this.frameSize = [0, 0];
  }

  program(vertex, fragment) {
    const { gl } = this, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
        throw new Error(gl.getShaderInfoLog(shader));
      }
      gl.attachShader(program, shader);
      gl.deleteShader(shader);
    }
    gl.linkProgram(program);
    const at = new Map();
    return { program, at: (name) => (at.has(name) ? at : at.set(name, gl.getUniformLocation(program, name))).get(name) };
  }

  texture() {
    const { gl } = this, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    return texture;
  }

  /** Float pairs in drawing order, and four bytes of style a point in the same order. */
  setPositions(xy) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.positions);
    gl.bufferData(gl.ARRAY_BUFFER, xy, gl.STATIC_DRAW);
  }

  setStyles(styles) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.styles);
    gl.bufferData(gl.ARRAY_BUFFER, styles, gl.DYNAMIC_DRAW);
  }

  setPalette(rgba) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  }

  /** Draw the first `view.shown` points; see `LatentMap.view` for the fields. */
  draw(view) {
    const { gl, canvas } = this;
    if (gl.isContextLost()) return;
    const width = Math.round(view.camera.width * view.ratio), height = Math.round(view.camera.height * view.ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!view.shown) return;
    gl.enable(gl.BLEND);
    const draw = view.dense && this.countFormat ? this.drawDensity : this.drawDiscs;
    // Muted points lie under the others whatever their order, so they take a pass of their own.
    if (view.anyMuted) draw.call(this, view, false);
    draw.call(this, view, true);
  }

  usePoints({ program, at }, view, active, size) {
    const { gl } = this, { camera } = view;
    gl.useProgram(program);
    gl.bindVertexArray(this.vertices);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.uniform1i(at("palette"), 0);
    gl.uniform2f(at("center"), camera.x, camera.y);
    gl.uniform2f(at("toClip"), (2 * camera.scale) / camera.width, (2 * camera.scale) / camera.height);
    gl.uniform1f(at("size"), size);
    gl.uniform1i(at("wantLit"), active);
    gl.uniform1i(at("anySelected"), view.anySelected);
    gl.uniform3fv(at("mutedColor"), view.theme.muted.map((c) => c / 255));
  }

  drawDiscs(view, active) {
    const { gl } = this;
    const size = (active ? view.size : Math.max(1.6, view.size * 0.8)) * view.ratio + 1.5;
    this.usePoints(this.disc, view, active, size);
    gl.uniform1f(this.disc.at("opacity"), active ? view.opacity : view.opacity * 0.7);
    gl.uniform3fv(this.disc.at("rim"), view.theme.background.map((c) => c / 255));
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawArrays(gl.POINTS, 0, view.shown);
  }

  drawDensity(view, active) {
    const { gl, canvas } = this, { camera } = view;
    const width = Math.ceil(camera.width), height = Math.ceil(camera.height);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.counts);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    if (this.frameSize[0] !== width || this.frameSize[1] !== height) {
      gl.texImage2D(gl.TEXTURE_2D, 0, this.countFormat, width, height, 0, gl.RGBA, gl.FLOAT, null);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.counts, 0);
      this.frameSize = [width, height];
    }
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.usePoints(this.count, view, active, 1);
    gl.uniform1f(this.count.at("weight"), view.total / view.shown);
    gl.blendFunc(gl.ONE, gl.ONE);
    gl.drawArrays(gl.POINTS, 0, view.shown);

    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.useProgram(this.tone.program);
    gl.bindVertexArray(this.empty);
    gl.bindTexture(gl.TEXTURE_2D, this.counts);
    gl.uniform1i(this.tone.at("counts"), 0);
    gl.uniform1f(this.tone.at("ratio"), view.ratio);
    gl.uniform1f(this.tone.at("reference"), view.peak);
    gl.uniform1f(this.tone.at("ceiling"), active ? 1 : 0.9);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  dispose() {
    this.canvas.removeEventListener("webglcontextlost", this.onLost);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
