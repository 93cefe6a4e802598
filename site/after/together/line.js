// One WebSocket for several channels: what to hear, what is heard and what is said are messages.
import { pause } from "../pause.js";

const SOONEST_MS = 500;
const LATEST_MS = 15_000;
/** What may wait to be said while the line is down. */
const UNSAID_MAX = 20;

export class Line {
  /** `hear` is told of each event, `state` of how it goes: "on" or what is wrong. */
  constructor(channels, { hear, state }) {
    Object.assign(this, { channels, hear, state, cursor: "earliest", unsaid: new Map(), refs: 0 });
    this.tries = 0;
    this.connect();
  }

  // [line]
  connect() {
    const url = new URL("/channels", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.onopen = () => {
      this.send({ subscribe: this.channels, after: this.cursor });
      for (const said of this.unsaid.values()) this.send(said);
    };
    this.socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    this.socket.onclose = () => this.again();
  }

  take({ event, ref, error, ...told }) {
    if (event === "published" || event === "error") this.unsaid.delete(ref);
    if (event === "error") return this.state(error);
    if (event === "subscribed") this.state("on");
    if (event !== "message" && event !== "hub-gap") return;
    [this.cursor, this.tries] = [told.cursor, 0];
    this.hear(told);
  }
  // [/line]

  // [say]
  /** Says something. Said again after a cut, it has the same key, and so is stored once. */
  publish(channel, value) {
    const key = crypto.randomUUID();
    const said = { publish: channel, data: JSON.stringify(value), key, ref: (this.refs += 1) };
    if (this.unsaid.size >= UNSAID_MAX) return this.state("too much is waiting to be said");
    this.unsaid.set(said.ref, said);
    if (this.socket.readyState === WebSocket.OPEN) this.send(said);
  }
  // [/say]

  async again() {
    this.state("cut off; comes again");
    const ms = Math.min(SOONEST_MS * 2 ** this.tries, LATEST_MS) * (0.5 + Math.random() / 2);
    this.tries += 1;
    await pause(ms);
    this.connect();
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }
}
