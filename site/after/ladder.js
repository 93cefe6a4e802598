// The page itself: four listeners on one channel, and what each of them costs.
import { publish } from "./ask.js";
import { choose } from "./choose.js";
import { Listener } from "./listener.js";
import { meter } from "./meter.js";
import { begin, element, ms, read, size, whyMissing, whyUnsaid } from "./page.js";
import { clock, pause } from "./pause.js";
import { Strip, keepDrawing } from "./strip.js";
import { longPoll, poll, socket, stream } from "./ways.js";

const CHANNEL = "demo/ladder";
const WAYS = { poll, "long-poll": longPoll, stream, socket };
const SHOWN_MAX = 4;

class Lane {
  constructor(way, after) {
    this.place = document.querySelector(`[data-way="${way}"]`);
    this.strip = new Strip(this.part("svg"));
    Object.assign(this, { way, bytes: 0, requests: 0, events: 0, delays: [] });
    this.began = performance.now();
    this.listener = new Listener(WAYS[way], CHANNEL, {
      after,
      hear: (news) => this.hear(news),
      state: (text) => this.show(text),
    });
    this.part("button").addEventListener("click", () => this.toggle());
    this.toggle();
  }

  part(selector) {
    return this.place.querySelector(selector);
  }

  toggle() {
    if (this.listener.isOn) {
      this.listener.stop();
    } else {
      this.plugged = clock();
      this.listener.start();
    }
  }

  show(state) {
    const isOff = state === "off";
    this.part(".state").textContent = { on: "", off: "unplugged" }[state] ?? state;
    this.part("button").textContent = isOff ? "Plug in" : "Unplug";
    this.place.classList.toggle("is-off", isOff);
  }

  hear({ events, gap }) {
    if (gap) this.tell(element("li", { className: "gap" }, whyMissing(gap)));
    for (const { message } of events) {
      const { text, sent } = read(message);
      const isStamped = typeof sent === "number";
      const late = isStamped ? clock() - sent : null;
      this.events += 1;
      this.strip.came();
      // What it catches up with says nothing about how fast the way is.
      const isCaughtUp = isStamped && sent < this.plugged;
      if (isStamped && !isCaughtUp) this.delays = [...this.delays.slice(-199), late];
      const note = isCaughtUp ? "caught up" : isStamped ? ms(late) : null;
      this.say(typeof text === "string" ? text : message, note);
    }
    this.count();
  }

  say(text, note = null) {
    const line = element("li", {}, element("span", {}, text.slice(0, 60)));
    if (note) line.append(element("small", {}, note));
    this.tell(line);
  }

  tell(line) {
    const list = this.part(".heard");
    list.prepend(line);
    while (list.children.length > SHOWN_MAX) list.lastChild.remove();
  }

  count() {
    this.part(".delay").textContent = this.delays.length ? ms(median(this.delays)) : "–";
    this.part(".requests").textContent = this.requests;
    this.part(".bytes").textContent = size(this.bytes);
    this.part(".events").textContent = this.events;
  }

  /** What it has cost so far, for the table beside the questions. */
  costs() {
    const minutes = (performance.now() - this.began) / 60_000;
    return {
      delay: this.delays.length ? ms(median(this.delays)) : "–",
      requests: (this.requests / minutes).toFixed(1),
      bytes: size(this.bytes / minutes),
    };
  }
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function run(cursor) {
  const lanes = new Map();
  meter(CHANNEL, ({ way, id, asked, ended, bytes = 0 }) => {
    // The first word of a lane is said while it is being made.
    queueMicrotask(() => {
      const lane = lanes.get(way);
      lane.bytes += bytes;
      if (asked) lane.requests += 1;
      if (asked) lane.strip.asked(id);
      if (ended) lane.strip.ended(id);
      lane.count();
    });
  });
  for (const way of Object.keys(WAYS)) lanes.set(way, new Lane(way, cursor));
  keepDrawing([...lanes.values()].map((lane) => lane.strip));
  choose(lanes);
  takeInput();
}

function takeInput() {
  const form = document.getElementById("say");
  const said = document.getElementById("said");
  const say = async (text) => {
    try {
      await publish(CHANNEL, { text, sent: clock() });
      said.textContent = "";
    } catch (error) {
      said.textContent = whyUnsaid(error);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(form.elements.text.value.trim() || "hello");
    form.elements.text.select();
  });
  const ten = document.getElementById("ten");
  ten.addEventListener("click", async () => {
    ten.disabled = true;
    for (let number = 1; number <= 10; number += 1) {
      await say(`train ${number}`);
      await pause(300 + Math.random() * 1700);
    }
    ten.disabled = false;
  });
}

begin(CHANNEL, run);
