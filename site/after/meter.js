// Counts what a page says and hears, so that the ways themselves stay as short as they are: it
// stands in for `fetch`, `EventSource` and `WebSocket`, and tells `count` of requests and bytes.
//
// A page cannot see headers. They are counted by these estimates, which are about what browsers and
// forerun send once both ends have seen each other's headers.
const PROTOCOL = performance.getEntriesByType("navigation")[0]?.nextHopProtocol;
/** A request and its answer, without their bodies. */
export const HEADER_BYTES = /^h[23]/.test(PROTOCOL) ? 150 : 900;
/** What HTTP and TLS put around a piece of an answer that goes on. */
const FRAME_BYTES = 31;

const length = (text) => new TextEncoder().encode(text).length;

/**
 * Counts for `/channels/CHANNEL`: `count({ way, id, asked, ended, bytes })`, what of it applies.
 * Returns what ends it.
 */
export function meter(channel, count) {
  const here = (url) => new URL(url, location.href);
  const isOurs = (url) => here(url).pathname === `/channels/${channel}`;
  let ids = 0;

  const { fetch: plainFetch, EventSource: PlainSource, WebSocket: PlainSocket } = window;
  window.fetch = async (input, options) => {
    const isPublished = (options?.method ?? "GET") !== "GET";
    const isSent = isOurs(input) && !isPublished && !options?.signal?.aborted;
    if (!isSent) return plainFetch(input, options);
    const way = here(input).searchParams.has("wait") ? "long-poll" : "poll";
    const id = (ids += 1);
    count({ way, id, asked: true, bytes: HEADER_BYTES });
    try {
      const answer = await plainFetch(input, options);
      count({ way, bytes: (await answer.clone().arrayBuffer()).byteLength });
      return answer;
    } finally {
      count({ way, id, ended: true });
    }
  };

  window.EventSource = class extends PlainSource {
    constructor(url, options) {
      super(url, options);
      if (!isOurs(url)) return;
      const way = "stream";
      let id = 0;
      const ask = () => count({ way, id: (id = ids += 1), asked: true, bytes: HEADER_BYTES });
      this.ended = () => count({ way, id, ended: true });
      ask();
      this.addEventListener("error", () => {
        this.ended();
        if (this.readyState === PlainSource.CONNECTING) ask();
      });
      this.addEventListener("message", ({ data, lastEventId }) => {
        const block = `id: ${lastEventId}\ndata: ${data}\n\n`;
        count({ way, bytes: length(block) + FRAME_BYTES });
      });
    }

    close() {
      super.close();
      this.ended?.();
    }
  };

  window.WebSocket = class extends PlainSocket {
    constructor(url, protocols = []) {
      super(url, protocols);
      if (!isOurs(url)) return;
      const way = "socket";
      const id = (ids += 1);
      count({ way, id, asked: true, bytes: HEADER_BYTES });
      this.addEventListener("close", () => count({ way, id, ended: true }));
      this.addEventListener("message", ({ data }) => {
        const bytes = length(data);
        count({ way, bytes: bytes + (bytes < 126 ? 2 : 4) + FRAME_BYTES });
      });
    }
  };

  return () => {
    Object.assign(window, { fetch: plainFetch, EventSource: PlainSource, WebSocket: PlainSocket });
  };
}
