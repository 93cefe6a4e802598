// Level 2: writes into the page's import tree when each module was asked for and when it was here.
import { arrivals } from "./clock.js";

export async function timeTree(tree) {
  const times = await arrivals();
  for (const item of tree.querySelectorAll("[data-module]")) {
    const found = times.get(item.dataset.module);
    if (!found) continue;
    const { asked, here } = found;
    item.querySelector(".time").textContent = `${asked.toFixed(0)} → ${here.toFixed(0)} ms`;
  }
}
