// Begins both demos once it is known that there are channels, each with what was said of late.
import { begin } from "../page.js";
import { startFeed } from "./feed.js";
import { startTicker } from "./ticker.js";

begin("demo/notifications", () => {
  startFeed("1h");
  startTicker("5m");
});
