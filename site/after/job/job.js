// A long job, and whoever wants to know how far it is. The job is simulated by the tab that starts
// it; the bar is told by the channel alone, in that tab as in any other.
import { publish } from "../ask.js";
import { Listener } from "../listener.js";
import { begin, read, whyMissing, whyUnsaid } from "../page.js";
import { clock, pause } from "../pause.js";
import { stream } from "../ways.js";

const STEPS = ["Counting carriages", "Oiling wheels", "Painting signs", "Ringing bells"];
const SILENCE_MS = 6000;
const part = (id) => document.getElementById(id);

let listener = null;
let silence = 0;

const channelOf = (id) => `demo/job-${id}`;
const isJob = (id) => /^[0-9a-f]{8}$/.test(id);

// [bar]
/** Hears one job from its beginning: news is small, and whoever comes late misses nothing. */
function watch(id) {
  listener?.stop();
  listener = new Listener(stream, channelOf(id), {
    after: "earliest",
    hear({ events, gap }) {
      if (gap) part("step").textContent = whyMissing(gap);
      if (events.length > 0) draw(read(events.at(-1).message));
    },
  });
  listener.start();
}
// [/bar]

function draw({ done, of, step, began }) {
  if (!(done >= 0 && of > 0)) return;
  const share = Math.min(1, done / of);
  part("bar").value = share;
  part("share").textContent = `${Math.floor(100 * share)} %`;
  const leftMs = began > 0 && share > 0.05 ? ((clock() - began) * (1 - share)) / share : 0;
  const left = leftMs > 0 ? `; about ${Math.ceil(leftMs / 1000)} s to go` : "";
  part("step").textContent = share === 1
    ? "Done. The page has stopped listening."
    : `${String(step).slice(0, 60)}${left}`;
  clearTimeout(silence);
  if (share === 1) return listener.stop();
  silence = setTimeout(() => {
    part("step").textContent = "No news for some seconds. Has the tab that works been closed?";
  }, SILENCE_MS);
}

// [pretend]
/** The job: says how far it is, but not more often than anybody would look. */
async function work(id, of = 40) {
  const began = clock();
  for (let done = 0; done <= of; done += 1) {
    const step = STEPS[Math.floor((done / (of + 1)) * STEPS.length)];
    await publish(channelOf(id), { done, of, step, began });
    await pause(200 + 500 * Math.random());
  }
}
// [/pretend]

function show(id) {
  const url = new URL(`#${id}`, location.href).href;
  Object.assign(part("link"), { href: url, hidden: false });
  part("bar").value = 0;
  part("share").textContent = "0 %";
  part("step").textContent = "Listening";
  watch(id);
}

begin("demo/job", () => {
  const named = () => isJob(location.hash.slice(1)) && show(location.hash.slice(1));
  named();
  addEventListener("hashchange", named);
  part("start").addEventListener("click", async () => {
    const id = crypto.randomUUID().slice(0, 8);
    part("start").disabled = true;
    history.replaceState(null, "", `#${id}`);
    show(id);
    await work(id).catch((error) => (part("step").textContent = whyUnsaid(error)));
    part("start").disabled = false;
  });
});
