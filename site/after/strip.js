// Draws the last seconds of a way: a line for as long as a request is open, a stroke where an event
// came. Time runs to the right and ends now.

const WINDOW_MS = 20_000;
const SVG = "http://www.w3.org/2000/svg";

export class Strip {
  constructor(svg) {
    this.svg = svg;
    this.requests = new Map();
    this.events = [];
  }

  asked(id) {
    this.requests.set(id, { from: performance.now(), to: Infinity });
  }

  ended(id) {
    const request = this.requests.get(id);
    if (request && request.to === Infinity) request.to = performance.now();
  }

  came() {
    this.events.push(performance.now());
  }

  draw() {
    const now = performance.now();
    const start = now - WINDOW_MS;
    for (const [id, { to }] of this.requests) if (to < start) this.requests.delete(id);
    this.events = this.events.filter((at) => at > start);
    const percent = (time) => (100 * (Math.max(time, start) - start)) / WINDOW_MS;
    const drawn = [shape("line", { class: "rail", x1: 0, y1: "34", x2: "100%", y2: "34" })];
    for (const { from, to } of this.requests.values()) {
      const [left, right] = [percent(from), percent(Math.min(to, now))];
      drawn.push(shape("rect", { class: "open", x: `${left}%`, y: 18, height: 9,
        width: `${Math.max(right - left, 0.7)}%` }));
    }
    for (const at of this.events) {
      const x = `${percent(at)}%`;
      drawn.push(shape("line", { class: "early", x1: x, x2: x, y1: 4, y2: 34 }));
    }
    this.svg.replaceChildren(...drawn);
  }
}

/** Draws strips again and again while they can be seen: seldom, if motion is not wanted. */
export function keepDrawing(strips) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let last = 0;
  const frame = (time) => {
    if (time - last > (still.matches ? 1000 : 50)) {
      last = time;
      for (const strip of strips) strip.draw();
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
