// A scene in one 3Dmol viewer: what of it is visible under the chosen look, and where.
import { cross, dot, minus, unit } from "./camera.js";

const [IN_CELL, BOUNDARY, COMPLETING] = [0, 1, 2];
export const STYLES = { ball_and_stick: "Ball and stick", space_filling: "Space filling", stick: "Sticks", polyhedra: "Polyhedra" };

export class Panel {
  constructor(scene) {
    this.scene = scene;
    this.atoms = scene.atoms.map(([site, kind, ia, ib, ic, ...xyz], row) => {
      const { label, element, species, shares } = scene.sites[site];
      return { row, site, kind, image: [ia, ib, ic], xyz, label, element, species, shares, drawn: false, radius: 0 };
    });
    const corners = scene.cell.flat();
    const far = corners.reduce((sum, p) => sum.map((x, k) => x + p[k]), [0, 0, 0]);
    this.center = far.map((x) => x / corners.length);
    const reach = (p, r) => Math.hypot(...minus(p, this.center)) + r;
    const extent = (atoms) => Math.max(...atoms.map((atom) => reach(atom.xyz, scene.elements[atom.element].ball)));
    this.cellRadius = Math.max(...corners.map((p) => reach(p, 0)), extent(this.atoms.filter((atom) => atom.kind !== COMPLETING)));
    this.wholeRadius = Math.max(this.cellRadius, extent(this.atoms));
  }

  /** Decide what is drawn, and how large. */
  choose(look) {
    this.radius = look.style === "polyhedra" ? this.wholeRadius : this.cellRadius;
    const hidden = (atom) => look.hidden.has(atom.element);
    const shown = (atom) => !hidden(atom) && (atom.kind === IN_CELL || (look.images && atom.kind === BOUNDARY));
    this.instances = look.style === "polyhedra" ? this.scene.polyhedra.instances.filter(([row]) => shown(this.atoms[row])) : [];
    const vertices = new Set(this.instances.flatMap(([, , rows]) => rows));
    for (const atom of this.atoms) {
      const { ball, fill } = this.scene.elements[atom.element];
      atom.drawn = shown(atom) || (vertices.has(atom.row) && !hidden(atom));
      atom.radius = { ball_and_stick: ball, space_filling: fill, stick: 0.16, polyhedra: 0.62 * ball }[look.style];
    }
    const apart = new Set(this.instances.map(([row]) => row)); // inside a polyhedron its faces say what is bonded
    const sticks = look.style === "ball_and_stick" || look.style === "stick" || look.style === "polyhedra";
    this.bonds = this.scene.bonds.filter(
      ([a, b]) => sticks && this.atoms[a].drawn && this.atoms[b].drawn && !apart.has(a) && !apart.has(b),
    );
  }

  /** Hand everything to 3Dmol. */
  draw(viewer, look, colors) {
    this.choose(look);
    viewer.removeAllModels();
    viewer.removeAllShapes();
    const drawn = this.atoms.filter((atom) => atom.drawn);
    const index = new Map(drawn.map((atom, k) => [atom.row, k]));
    const bonded = drawn.map(() => []);
    for (const [a, b] of this.bonds) {
      bonded[index.get(a)].push(index.get(b));
      bonded[index.get(b)].push(index.get(a));
    }
    const thickness = look.style === "stick" ? 0.16 : 0.1;
    const model = viewer.addModel();
    model.addAtoms(
      drawn.map((atom, k) => {
        const color = this.scene.elements[atom.element].color;
        const [x, y, z] = atom.xyz;
        const style = { sphere: { radius: atom.shares ? 0.9 * atom.radius : atom.radius, color } };
        if (bonded[k].length) style.stick = { radius: thickness, color };
        // elem stays empty: 3Dmol would color and size by it. index and bondOrder it does not fill in by itself.
        return { elem: "", x, y, z, serial: k, index: k, bonds: bonded[k], bondOrder: bonded[k].map(() => 1), style };
      }),
    );
    this.drawPolyhedra(viewer, colors);
    this.drawShares(viewer, drawn, colors);
    const cell = viewer.addShape({ color: colors.cell });
    for (const [a, b] of this.scene.cell) cell.addCylinder({ ...ends(a, b), radius: 0.028, color: colors.cell });
    const reach = 4 * this.radius; // depth cue: the far side fades by about a quarter
    viewer.setSlab(-reach, reach);
    viewer.render();
  }

  drawPolyhedra(viewer, colors) {
    const byColor = new Map();
    for (const instance of this.instances) {
      const { color } = this.scene.elements[this.atoms[instance[0]].element];
      byColor.set(color, [...(byColor.get(color) ?? []), instance]);
    }
    for (const [color, instances] of byColor) {
      const mesh = { vertexArr: [], normalArr: [], faceArr: [] };
      const rims = viewer.addShape({ color: colors.rim(color) });
      for (const [row, shape] of instances) {
        const { vertices, faces, edges } = this.scene.polyhedra.shapes[shape];
        const at = (k) => vertices[k].map((x, axis) => x + this.atoms[row].xyz[axis]);
        for (const face of faces) {
          const corners = face.map(at);
          const normal = point(unit(cross(minus(corners[1], corners[0]), minus(corners[2], corners[0]))));
          for (const corner of corners) {
            mesh.faceArr.push(mesh.vertexArr.length);
            mesh.vertexArr.push(point(corner));
            mesh.normalArr.push(normal);
          }
        }
        for (const [a, b] of edges) rims.addCylinder({ ...ends(at(a), at(b)), radius: 0.02, color: colors.rim(color) });
      }
      viewer.addCustom({ ...mesh, color, opacity: 0.62 });
    }
  }

  /** Balls of partly occupied sites, in slices of their species around c; what is empty is gray. */
  drawShares(viewer, drawn, colors) {
    const meshes = new Map();
    for (const atom of drawn.filter((each) => each.shares)) {
      const filled = atom.shares.reduce((sum, [, share]) => sum + share, 0);
      const slices = atom.shares.map(([symbol, share]) => [this.scene.elements[symbol].color, share]);
      if (filled < 0.995) slices.push([colors.empty, 1 - filled]);
      let from = FIRST;
      for (const [color, share] of slices) {
        if (!meshes.has(color)) meshes.set(color, { vertexArr: [], normalArr: [], faceArr: [] });
        addSlice(meshes.get(color), atom, from, from + share);
        from += share;
      }
    }
    for (const [color, mesh] of meshes) viewer.addCustom({ ...mesh, color });
  }

  /** The atom under a pixel, the one in front if several are. */
  hit(x, y, place) {
    let best = null;
    for (const atom of this.atoms) {
      if (!atom.drawn) continue;
      const spot = place(atom.xyz, this.center);
      const reach = Math.max(atom.radius * spot.scale, 6); // small balls stay easy to hit
      const off = Math.hypot(x - spot.x, y - spot.y);
      if (off > reach) continue;
      const front = spot.z + Math.sqrt(Math.max(atom.radius ** 2 - (off / spot.scale) ** 2, 0));
      if (!best || front > best.front) best = { atom, front };
    }
    return best?.atom ?? null;
  }
}

const RINGS = 12; // from pole to pole
const FIRST = -0.19; // of a turn: where slices begin, toward the eye as the viewer opens

/** The part of a ball between two shares of a turn. */
function addSlice(mesh, { xyz, radius }, from, to) {
  const columns = Math.max(2, Math.ceil((to - from) * 24)), first = mesh.vertexArr.length;
  for (let i = 0; i <= RINGS; i++) {
    for (let j = 0; j <= columns; j++) {
      const down = (Math.PI * i) / RINGS, around = 2 * Math.PI * (from + ((to - from) * j) / columns);
      const normal = [Math.sin(down) * Math.cos(around), Math.sin(down) * Math.sin(around), Math.cos(down)];
      mesh.normalArr.push(point(normal));
      mesh.vertexArr.push(point(normal.map((x, k) => xyz[k] + radius * x)));
    }
  }
  for (let i = 0; i < RINGS; i++) {
    for (let j = 0; j < columns; j++) {
      const a = first + i * (columns + 1) + j, b = a + columns + 1;
      mesh.faceArr.push(a, b, a + 1, b, b + 1, a + 1);
    }
  }
}

const point = ([x, y, z]) => ({ x, y, z });
const ends = (a, b) => ({ start: point(a), end: point(b) });

/** Distance (Å), angle or dihedral (degrees) of two, three or four points, as `crystal_scene.measure` defines them. */
export function measured(points) {
  const steps = points.slice(1).map((p, k) => minus(p, points[k]));
  if (steps.length === 1) return { kind: "Distance", value: Math.hypot(...steps[0]), digits: 3, unit: " Å" };
  if (steps.length === 2) {
    const cosine = -dot(unit(steps[0]), unit(steps[1]));
    return { kind: "Angle", value: (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI, digits: 2, unit: "°" };
  }
  if (steps.length === 3) {
    const [n1, n2] = [cross(steps[0], steps[1]), cross(steps[1], steps[2])];
    if (Math.min(Math.hypot(...n1), Math.hypot(...n2)) < 1e-6) return { kind: "Dihedral", value: null };
    const sine = dot(steps[0], n2) * Math.hypot(...steps[1]);
    return { kind: "Dihedral", value: (Math.atan2(sine, dot(n1, n2)) * 180) / Math.PI, digits: 2, unit: "°" };
  }
  return null;
}
