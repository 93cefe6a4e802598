// What all these pages do: ask whether there are channels at all, show the code that runs, and make
// elements. Text that came over a channel is somebody's: it becomes text, never HTML.
import { Busy, Refused, now } from "./ask.js";

/** Runs a demo from where the log stands, or says what to do so that it can run. */
export async function begin(channel, run) {
  const notice = document.getElementById("off");
  try {
    const cursor = await now(channel);
    notice.hidden = true;
    for (const demo of document.querySelectorAll("[data-live]")) demo.inert = false;
    run(cursor);
  } catch (error) {
    const again = element("button", { type: "button" }, "Try again");
    again.addEventListener("click", () => begin(channel, run), { once: true });
    notice.replaceChildren(...whyNot(error), again);
    notice.hidden = false;
  }
}

function whyNot(error) {
  const says = (...words) => [element("p", {}, ...words)];
  const command = (text) => element("code", {}, text);
  if (error instanceof Refused && error.status === 404) {
    return says(element("strong", {}, "There are no channels here. "), "This server answers 404 " +
      "for ", command("/channels/demo/…"), ". Either it is not forerun, and only serves these " +
      "files: then run ", command("forerun"), " in a checkout and open the address it prints. Or " +
      "it has no channels to try: then start it with ", command("--demo"), ".");
  }
  if (error instanceof Refused) {
    return says(element("strong", {}, "This channel is not for everybody here. "), error.message);
  }
  if (error instanceof Busy) return says(element("strong", {}, "Not now: "), `${error.message}.`);
  return says(element("strong", {}, "The server does not answer. "), "Is it still running?");
}

/** Returns what to tell somebody who said something that did not arrive. */
export function whyUnsaid(error) {
  if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
    return `Not published. ${error.message} (Without a token, these channels take events only ` +
      "from the machine on which the server runs.)";
  }
  const why = error instanceof TypeError ? "the server does not answer" : error.message;
  return `Not published: ${why}.`;
}

/** Returns what a gap means, in words. */
export function whyMissing(gap) {
  const reason = {
    expired: "they are older than what the log keeps",
    epoch: "the server has started with a new log since",
  }[gap.reason] ?? "the log does not know where we were";
  return `Events are missing here: ${reason}.`;
}

/** Reads what somebody published, if it is an object; anybody may publish anything here. */
export function read(message) {
  try {
    const value = JSON.parse(message);
    return value !== null && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}

/** Makes an element. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Returns a time in milliseconds as text. */
export function ms(time) {
  if (time >= 9950) return `${Math.round(time / 1000)} s`;
  return `${time < 9.95 ? time.toFixed(1) : Math.round(time)} ms`;
}

/** Returns a number of bytes as text. */
export function size(bytes) {
  return bytes < 1000 ? `${Math.round(bytes)} B` : `${(bytes / 1000).toFixed(1)} kB`;
}

/** Shows a marked part of the very module that runs here: it cannot differ from what runs. */
async function showCode(place) {
  const [file, part] = place.dataset.code.split("#");
  const text = await (await fetch(file)).text();
  const [, marked] = text.split(new RegExp(`^ *// \\[/?${part}\\]\\n`, "m"));
  const indent = /^ */.exec(marked)[0].length;
  const lines = marked.trimEnd().split("\n").map((line) => line.slice(indent)).join("\n");
  const copy = element("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(lines);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
  const where = element("p", {}, element("a", { href: file }, file));
  if (navigator.clipboard) where.append(copy);
  const code = element("pre", { tabIndex: 0 }, element("code", {}, lines));
  code.setAttribute("aria-label", `Code from ${file}`);
  place.replaceChildren(where, code);
}

const showAll = () => document.querySelectorAll("[data-code]").forEach((place) => showCode(place));
if (document.readyState === "complete") showAll();
else addEventListener("load", showAll); // The page comes first; its modules are in the cache then.
