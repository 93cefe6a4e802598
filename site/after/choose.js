// Three questions, one rung; and the costs of all four as this page has measured them.
import { element } from "./page.js";

const NAMES = {
  poll: "Polling",
  "long-poll": "Long polling",
  stream: "Server-Sent Events",
  socket: "WebSocket",
};

// [rung]
/** The rung to stand on: the lowest that does what is needed. */
function rung({ speakers, soon, ends }) {
  if (speakers === "both") return "socket";
  if (soon === "later") return "poll";
  return ends === "one" ? "long-poll" : "stream";
}
// [/rung]

const WHY = {
  poll: "Nobody notices a few seconds. Every cache, proxy and script knows how to ask again, and " +
    "the server holds nothing between two questions.",
  "long-poll": "One answer, as soon as it is known, and then it is over. Nothing stays open that " +
    "would have to be looked after.",
  stream: "News goes one way and keeps coming. The browser reconnects by itself and says where " +
    "it stopped. Over HTTP/2 it shares the connection with everything else.",
  socket: "Both sides speak, often, and a new request for every word would cost more than the " +
    "word. What the browser did for you before, you now do yourself.",
};

export function choose(lanes) {
  const form = document.getElementById("questions");
  const rows = new Map();
  const body = document.getElementById("costs");
  for (const way of lanes.keys()) {
    const cells = ["delay", "requests", "bytes"].map(() => element("td", { className: "number" }));
    const row = element("tr", {}, element("th", { scope: "row" }, NAMES[way]), ...cells);
    rows.set(way, { row, cells });
    body.append(row);
  }
  const answer = () => {
    const way = rung(Object.fromEntries(new FormData(form)));
    document.getElementById("rung").textContent = NAMES[way];
    document.getElementById("why").textContent = WHY[way];
    for (const [name, { row }] of rows) row.classList.toggle("is-rung", name === way);
  };
  const fill = () => {
    for (const [way, { cells }] of rows) {
      Object.values(lanes.get(way).costs()).forEach((text, index) => {
        cells[index].textContent = text;
      });
    }
  };
  form.addEventListener("change", answer);
  answer();
  fill();
  setInterval(fill, 1000);
}
