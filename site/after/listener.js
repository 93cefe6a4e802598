// Hears a channel in one of the four ways for as long as it is wanted. Keeps the cursor, so that
// nothing is lost or heard twice: when a connection breaks, when it is unplugged for a while, or
// when it goes on in another way.
import { Refused } from "./ask.js";
import { pause } from "./pause.js";

const SOONEST_MS = 500;
const LATEST_MS = 15_000;

export class Listener {
  /** `hear` is told what comes; `state` how it goes: "on", "off" or, in words, what is wrong. */
  constructor(way, channel, { after, hear, state = () => {} }) {
    Object.assign(this, { way, channel, after, hear, state, controller: null });
  }

  get isOn() {
    return this.controller !== null;
  }

  stop() {
    this.controller?.abort();
    this.controller = null;
    this.state("off");
  }

  // [again]
  /** Comes again whenever the connection breaks: after the last we heard, and in no hurry. */
  async start() {
    this.controller?.abort();
    const { signal } = (this.controller = new AbortController());
    for (let tries = 0; !signal.aborted; tries += 1) {
      const hear = (news) => {
        if (signal.aborted) return;
        [this.after, tries] = [news.cursor || this.after, 0];
        this.hear(news);
      };
      this.state("on");
      const { after, channel } = this;
      const broken = await this.way(channel, { after, signal, hear }).catch((error) => error);
      if (signal.aborted) return;
      if (broken instanceof Refused) return this.state(broken.message);
      this.state("cut off; comes again");
      const ms = Math.min(SOONEST_MS * 2 ** tries, LATEST_MS) * (0.5 + Math.random() / 2);
      await pause(Math.max(ms, broken?.afterMs ?? 0), signal).catch(() => {});
    }
  }
  // [/again]
}
