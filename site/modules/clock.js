// Level 3: reads the browser's own record of each file, once the page has settled.

export async function arrivals() {
  if (document.readyState !== "complete") {
    await new Promise((resolve) => addEventListener("load", resolve, { once: true }));
  }
  const times = new Map();
  for (const entry of performance.getEntriesByType("resource")) {
    const path = new URL(entry.name).pathname;
    if (!times.has(path)) times.set(path, { asked: entry.startTime, here: entry.responseEnd });
  }
  return times;
}
