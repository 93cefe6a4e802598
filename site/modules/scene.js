// Level 2: keeps the canvas sharp, sweeps the day across it once, and follows the colour scheme.
import { makeDay } from "./day.js";
import { drawDay } from "./ink.js";

const SWEEP_MS = 2600;
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Scene {
  constructor(canvas, onDay) {
    this.canvas = canvas;
    this.onDay = onDay;
    this.started = 0;
    this.frame = 0;
    new ResizeObserver(() => this.draw(1)).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(1));
  }

  show(number) {
    this.day = makeDay(number);
    this.onDay(this.day);
    cancelAnimationFrame(this.frame);
    if (still.matches) {
      this.draw(1);
      return;
    }
    this.started = performance.now();
    this.sweep();
  }

  sweep() {
    const done = Math.min(1, (performance.now() - this.started) / SWEEP_MS);
    this.draw(1 - (1 - done) ** 3);
    if (done < 1) this.frame = requestAnimationFrame(() => this.sweep());
  }

  draw(share) {
    const { canvas } = this;
    const { width, height } = canvas.getBoundingClientRect();
    if (!this.day || width === 0) return;
    const dots = Math.min(devicePixelRatio || 1, 2);
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
    const context = canvas.getContext("2d");
    context.scale(dots, dots);
    drawDay(context, this.day, { width, height, share });
  }
}
