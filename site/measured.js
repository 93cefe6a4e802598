// "What just happened to this page": draws what the browser itself measured (Resource Timing).
// It asks the server for nothing. A browser tells scripts which files were hinted by a 103; it does
// not tell which were pushed.

const place = document.getElementById("measured");
const ASKED_BY = {
  navigation: "you",
  "early-hints": "a 103 hint",
  link: "a link",
  script: "a script",
  css: "a style sheet",
  img: "an image",
};
/** Entries that come later than this after the load event are not the page's own. */
const SETTLE_MS = 4000;

let pending = 0;
function redraw() {
  clearTimeout(pending);
  pending = setTimeout(draw, 150);
}

function draw() {
  const [page] = performance.getEntriesByType("navigation");
  if (!page || !page.responseEnd) return;
  const rows = [page, ...files()];
  const end = Math.max(...rows.map((row) => row.responseEnd)) * 1.02;
  place.replaceChildren(summary(page, rows), table(page, rows, end), caption(page));
}

/** Returns one entry for each URL: the first, which is the one that went over the network. */
function files() {
  const first = new Map();
  const icon = document.querySelector('link[rel="icon"]')?.href;
  const entries = performance.getEntriesByType("resource");
  for (const entry of entries.sort((a, b) => a.startTime - b.startTime)) {
    if (!entry.name.startsWith(location.origin) || first.has(entry.name)) continue;
    if (entry.name === icon) continue; // Browsers fetch it when they feel like it.
    if (new URL(entry.name).pathname.startsWith("/channels/")) continue; // Talk, no file of the page.
    first.set(entry.name, entry);
  }
  return [...first.values()];
}

function summary(page, rows) {
  const last = rows.reduce((a, b) => (a.responseEnd > b.responseEnd ? a : b));
  const hinted = rows.filter(isHinted).length;
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const said = [`The page was here after ${ms(page.responseEnd)}.`];
  if (rows.length > 1) {
    const files = rows.length === 2 ? "One file" : `${rows.length - 1} files`;
    said.push(`${files} followed; the last, ${label(last)}, was here after ${ms(last.responseEnd)}.`);
  }
  if (page.firstInterimResponseStart > 0) {
    const use = hinted === 0 ? "nothing" : hinted === 1 ? "one file" : `${hinted} files`;
    said.push(`A 103 came after ${ms(page.firstInterimResponseStart)}; the page used ${use} that it named.`);
  }
  if (paint) said.push(`First paint: ${ms(paint.startTime)}.`);
  return element("p", {}, said.join(" "));
}

function table(page, rows, end) {
  const head = element(
    "tr",
    {},
    ...["File", "Asked for by", "Over", "Size"].map((text) => element("th", { scope: "col" }, text)),
    element("th", { scope: "col", className: "number" }, "Here after"),
    element("th", { scope: "col", className: "plot" }, `0 to ${ms(end)}`),
  );
  const body = rows.map((row) =>
    element(
      "tr",
      { className: isHinted(row) ? "hinted" : "" },
      element("th", { scope: "row", className: "name" }, label(row)),
      element("td", { className: "how" }, ASKED_BY[row.initiatorType] ?? "the browser"),
      element("td", {}, row.nextHopProtocol || "–"),
      element("td", {}, size(row)),
      element("td", { className: "number" }, ms(row.responseEnd)),
      element("td", { className: "plot" }, track(page, row, end)),
    ),
  );
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function track(page, row, end) {
  const percent = (time) => `${(100 * time) / end}%`;
  const arriving = Math.max(row.finalResponseHeadersStart || row.responseStart, row.startTime);
  const bar = (className, from, to) => {
    const made = element("i", { className });
    made.style.left = percent(from);
    made.style.width = percent(Math.max(0, to - from));
    return made;
  };
  const bars = [
    bar("waiting", row.startTime, arriving),
    bar("receiving", arriving, row.responseEnd),
  ];
  if (page.firstInterimResponseStart > 0) {
    bars.unshift(bar("mark-line", page.firstInterimResponseStart, page.firstInterimResponseStart));
  }
  const made = element("div", { className: "track" }, ...bars);
  made.setAttribute("aria-hidden", "true");
  return made;
}

function caption(page) {
  const line =
    page.firstInterimResponseStart > 0
      ? " The dashed line is the 103. Chromium shows a hinted file when the page first uses it, not " +
        "when it came."
      : "";
  return element(
    "p",
    { className: "note" },
    `Thin: waiting. Thick: arriving.${line} Times count from the start of the navigation, as this ` +
      "browser measured them. Reload to see what a second visit costs.",
  );
}

function isHinted(row) {
  return row.initiatorType === "early-hints";
}

function label(row) {
  return row.entryType === "navigation" ? "this page" : new URL(row.name).pathname;
}

/** What went over the network, or why nothing did. */
function size(row) {
  if (row.deliveryType === "cache") return isHinted(row) ? "was here" : "cached";
  if (row.transferSize > 0) {
    return row.encodedBodySize > row.transferSize ? "unchanged" : bytes(row.encodedBodySize);
  }
  if (row.encodedBodySize > 0) return "deliveryType" in row ? "cached" : "cached or pushed";
  return "–";
}

function bytes(count) {
  return count < 1000 ? `${count} B` : `${(count / 1000).toFixed(1)} kB`;
}

function ms(time) {
  return `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

if (place && "PerformanceObserver" in window) {
  const observer = new PerformanceObserver(redraw);
  observer.observe({ type: "resource", buffered: true });
  const settle = () => {
    redraw();
    setTimeout(() => observer.disconnect(), SETTLE_MS);
  };
  if (document.readyState === "complete") settle();
  else addEventListener("load", settle);
}
