// The waiting screen: shows a ticket, and hears in two ways at once that it was confirmed.
import { Listener } from "../listener.js";
import { meter } from "../meter.js";
import { begin, element, ms, read, size, whyMissing } from "../page.js";
import { clock } from "../pause.js";
import { longPoll, poll } from "../ways.js";
import { qr } from "./qr.js";
import { channelOf, newTicket, shortOf } from "./ticket.js";

const WAYS = { poll, "long-poll": longPoll };
const VALID_MS = 120_000;
const QUIET = 4;

// [login]
/** Waits for one answer, then stops asking: the ticket is spent. */
function waitFor(ticket, way, after, told) {
  const listener = new Listener(WAYS[way], channelOf(ticket), {
    after,
    hear({ events, gap }) {
      const [event] = events;
      if (!event && !gap) return;
      listener.stop();
      told(event ? read(event.message) : { gap });
    },
  });
  listener.start();
  return listener;
}
// [/login]

class Waiting {
  constructor(way, ticket, after) {
    this.place = document.querySelector(`[data-way="${way}"]`);
    Object.assign(this, { requests: 0, bytes: 0 });
    this.began = performance.now();
    this.listener = waitFor(ticket, way, after, (answer) => this.tell(answer));
    this.say("Waiting");
    this.count();
  }

  part(selector) {
    return this.place.querySelector(selector);
  }

  say(text, isNews = false) {
    this.part(".big").textContent = text;
    this.part(".big").classList.toggle("ahead", isNews);
  }

  tell({ answer, sent, gap }) {
    if (gap) return this.say(whyMissing(gap));
    this.say(answer === "yes" ? "You are in" : "Declined", true);
    const waited = ms(performance.now() - this.began);
    const late = typeof sent === "number" ? ms(Math.max(0, clock() - sent)) : "some time";
    this.part(".told").textContent = `Waited ${waited}. Heard ${late} after it was said.`;
  }

  expire() {
    if (!this.listener.isOn) return;
    this.listener.stop();
    this.say("Expired");
    this.part(".told").textContent = "Nobody answered in time, so we have stopped asking.";
  }

  count() {
    this.part(".requests").textContent = this.requests;
    this.part(".bytes").textContent = size(this.bytes);
  }
}

let current = [];
let endMeter = () => {};

function show(ticket, cursor) {
  for (const waiting of current) waiting.listener.stop();
  endMeter();
  const lanes = new Map();
  endMeter = meter(channelOf(ticket), ({ way, asked, bytes = 0 }) => queueMicrotask(() => {
    const lane = lanes.get(way);
    lane.requests += asked ? 1 : 0;
    lane.bytes += bytes;
    lane.count();
  }));
  for (const way of Object.keys(WAYS)) {
    document.querySelector(`[data-way="${way}"] .told`).textContent = "";
    lanes.set(way, new Waiting(way, ticket, cursor));
  }
  current = [...lanes.values()];
  const waiting = current;
  setTimeout(() => waiting.forEach((one) => one.expire()), VALID_MS);
  const url = new URL(`/after/login/confirm.html#${ticket}`, location.href).href;
  document.getElementById("code").replaceChildren(drawn(qr(url)));
  document.getElementById("short").textContent = shortOf(ticket);
  Object.assign(document.getElementById("link"), { href: url, hidden: false });
  document.getElementById("far").hidden = !/^(localhost|127\.|\[::1\])/.test(location.hostname);
}

/** A QR code is black on white, with four modules of margin, whatever the colours of the page. */
function drawn(rows) {
  if (!rows) return element("p", {}, "The address is too long for this small code: use the link.");
  const size = rows.length + 2 * QUIET;
  const path = rows.flatMap((row, y) =>
    row.map((dark, x) => (dark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : ""))).join("");
  const holder = element("div");
  holder.innerHTML = `<svg viewBox="0 0 ${size} ${size}" role="img" shape-rendering="crispEdges"
    aria-label="QR code: says the same as the link below">
    <path fill="#fff" d="M0 0h${size}v${size}H0z"/>
    <path fill="#000" d="${path}"/></svg>`;
  return holder.firstChild;
}

begin("demo/login", (cursor) => {
  show(newTicket(), cursor);
  document.getElementById("new").addEventListener("click", () => {
    begin("demo/login", (later) => show(newTicket(), later));
  });
});
