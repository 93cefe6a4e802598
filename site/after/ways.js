// Four ways to hear a channel. Each begins after a cursor, tells `hear` what comes, and ends or
// throws when its connection does: listener.js then comes again. What they tell has one shape,
// { events: [{ message, cursor }], cursor, gap }, because they all read one log.
import { ask } from "./ask.js";
import { pause } from "./pause.js";

// [poll]
/** Asks, waits a while, and asks again. The tag of an answer says how far we have heard. */
export async function poll(channel, { after, signal, hear, every = 2000 }) {
  let tag = `"${after}"`;
  for (;;) {
    const answer = await ask(channel, { headers: { "If-None-Match": tag }, signal });
    const news = answer.status === 304 ? null : await answer.json();
    if (news) hear(news);
    tag = answer.headers.get("ETag") ?? tag;
    if (!news?.more) await pause(every, signal);
  }
}
// [/poll]

// [long-poll]
/** Asks; the server answers when there is something to say, or after 30 seconds. Asks again. */
export async function longPoll(channel, { after, signal, hear }) {
  let tag = `"${after}"`;
  for (;;) {
    const headers = { "If-None-Match": tag };
    const answer = await ask(`${channel}?wait=30`, { headers, signal });
    if (answer.status !== 304) hear(await answer.json());
    tag = answer.headers.get("ETag") ?? tag;
  }
}
// [/long-poll]

// [stream]
/** Asks once. The browser itself comes again, and says in Last-Event-ID where it stopped. */
export function stream(channel, { after, signal, hear }) {
  const source = new EventSource(`/channels/${channel}?since=${after}`);
  const tell = (events, { lastEventId: cursor }, gap) => hear({ events, cursor, gap });
  source.onmessage = (event) =>
    tell([{ message: event.data, cursor: event.lastEventId }], event);
  source.addEventListener("hub-gap", (event) => tell([], event, JSON.parse(event.data)));
  return new Promise((ended) => {
    signal.addEventListener("abort", () => ended(source.close()));
    source.onerror = () => source.readyState === EventSource.CLOSED && ended();
  });
}
// [/stream]

// [socket]
/** Opens a line on which both could speak. Coming again, and from where, is our own business. */
export function socket(channel, { after, signal, hear }) {
  const url = new URL(`/channels/${channel}?since=${after}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const line = new WebSocket(url);
  line.onmessage = ({ data }) => {
    const { event, gap, ...told } = JSON.parse(data);
    if (event === "message") hear({ events: [told], cursor: told.cursor });
    if (gap) hear({ events: [], cursor: told.cursor, gap });
  };
  return new Promise((ended) => {
    signal.addEventListener("abort", () => line.close());
    line.onclose = ended;
  });
}
// [/socket]
