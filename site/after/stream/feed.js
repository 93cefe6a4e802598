// A feed of notifications: hears them, counts the unread, and can be unplugged to see it resume.
import { publish } from "../ask.js";
import { Listener } from "../listener.js";
import { element, read, whyMissing, whyUnsaid } from "../page.js";
import { stream } from "../ways.js";

const CHANNEL = "demo/notifications";
const SHOWN_MAX = 8;

const list = document.getElementById("feed");
const count = document.getElementById("unread");
const button = document.getElementById("plug");
const title = document.title;
let unread = 0;

// [feed]
/** Begins with what was said of late ("1h"); from then on a cursor says where to go on. */
export function startFeed(since) {
  const listener = new Listener(stream, CHANNEL, {
    after: since,
    hear({ events, gap }) {
      if (gap) add(element("li", {}, whyMissing(gap)));
      for (const { message } of events) notify(read(message));
    },
    state: show,
  });
  button.addEventListener("click", () => (listener.isOn ? listener.stop() : listener.start()));
  listener.start();
}
// [/feed]

function notify({ text = "(no text)", at }) {
  const when = Number.isFinite(at) ? new Date(at).toLocaleTimeString() : "";
  add(element("li", { className: "is-unread" },
    element("span", {}, String(text).slice(0, 140)), element("small", {}, when)));
  mark(unread + 1);
}

function add(item) {
  list.prepend(item);
  while (list.children.length > SHOWN_MAX) list.lastChild.remove();
}

function mark(number) {
  unread = number;
  count.textContent = unread === 0 ? "Nothing new" : `${unread} new`;
  document.title = unread === 0 ? title : `(${unread}) ${title}`;
}

function show(state) {
  button.textContent = state === "off" ? "Plug in" : "Unplug";
  document.getElementById("feed-state").textContent =
    { on: "", off: "Unplugged. What is sent now waits in the log." }[state] ?? state;
}

document.getElementById("read").addEventListener("click", () => {
  for (const item of list.children) item.classList.remove("is-unread");
  mark(0);
});

document.getElementById("notify").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = event.target.elements.text;
  const told = document.getElementById("notified");
  try {
    await publish(CHANNEL, { text: input.value.trim() || input.placeholder, at: Date.now() });
    told.textContent = "";
    input.value = "";
  } catch (error) {
    told.textContent = whyUnsaid(error);
  }
});
