// Shares of railways that do not exist. Whoever opens the market makes up the prices, for a minute;
// everybody hears them.
import { publish } from "../ask.js";
import { Listener } from "../listener.js";
import { element, read, whyUnsaid } from "../page.js";
import { pause } from "../pause.js";
import { stream } from "../ways.js";

const CHANNEL = "demo/ticker";
const RAILWAYS = { ALD: "Alder Valley", BRM: "Bramport", COL: "Cold Harbour", NTH: "Nether Line" };
const POINTS_MAX = 80;
const OPEN_MS = 60_000;
const EVERY_MS = 600;
const SVG = "http://www.w3.org/2000/svg";

const rows = new Map();

class Row {
  constructor(name) {
    this.prices = [];
    this.line = document.createElementNS(SVG, "polyline");
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "draw curve");
    svg.setAttribute("viewBox", "0 0 100 30");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(this.line);
    this.price = element("td", { className: "number" }, "–");
    this.change = element("td", { className: "number" });
    const curve = element("td", { className: "plot" });
    curve.append(svg);
    document.getElementById("prices").append(
      element("tr", {}, element("th", { scope: "row" }, name), this.price, this.change, curve));
  }

  add(price) {
    this.prices = [...this.prices.slice(1 - POINTS_MAX), price];
    const [low, high] = [Math.min(...this.prices), Math.max(...this.prices)];
    const y = (value) => 27 - (24 * (value - low)) / (high - low || 1);
    const x = (index) => 100 - (100 * (this.prices.length - 1 - index)) / (POINTS_MAX - 1);
    const points = this.prices.map((value, index) => `${x(index)},${y(value)}`);
    this.line.setAttribute("points", points.join(" "));
    const change = (100 * (price - this.prices[0])) / this.prices[0];
    this.price.textContent = price.toFixed(2);
    this.change.textContent = `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)} %`;
  }
}

// [ticker]
/** Each event has some prices: { ALD: 101.5, ... }. What a reader missed, it is sent. */
export function startTicker(since) {
  for (const [sign, name] of Object.entries(RAILWAYS)) rows.set(sign, new Row(name));
  const hear = ({ events }) => {
    for (const { message } of events) {
      for (const [sign, price] of Object.entries(read(message))) {
        if (Number.isFinite(price) && price > 0) rows.get(sign)?.add(price);
      }
    }
  };
  new Listener(stream, CHANNEL, { after: since, hear }).start();
}
// [/ticker]

const open = document.getElementById("open");
open.addEventListener("click", () => {
  // Of all tabs of this browser, one makes the prices.
  navigator.locks.request("market", { ifAvailable: true }, async (lock) => {
    const told = document.getElementById("market");
    if (!lock) {
      told.textContent = "Another tab has opened the market already.";
      return;
    }
    open.disabled = true;
    told.textContent = "The market is open for a minute; this tab makes up the prices.";
    try {
      await trade();
      told.textContent = "The market has closed.";
    } catch (error) {
      told.textContent = whyUnsaid(error);
    }
    open.disabled = false;
  });
});

async function trade() {
  const until = performance.now() + OPEN_MS;
  while (performance.now() < until) {
    const prices = {};
    for (const [sign, row] of rows) {
      const last = row.prices.at(-1) ?? 80 + 40 * Math.random();
      prices[sign] = Number((last * (1 + (Math.random() - 0.49) / 40)).toFixed(2));
    }
    await publish(CHANNEL, prices);
    await pause(EVERY_MS);
  }
}
