// Asks the server about channels, and knows what its refusals mean.

/** The server has understood, and will not: asking again the same way would not help. */
export class Refused extends Error {
  constructor(status, text) {
    super(text.trim());
    this.status = status;
  }
}

/** The server cannot now, and may have said after how many seconds it can. */
export class Busy extends Error {
  constructor(answer) {
    super(`the server is busy (${answer.status})`);
    this.afterMs = 1000 * Number(answer.headers.get("Retry-After") ?? 0);
  }
}

/** Returns the answer, 304 included. Throws what is none. */
export async function ask(channel, { headers, ...options } = {}) {
  const answer = await fetch(`/channels/${channel}`, {
    headers: { Accept: "application/json", ...headers },
    cache: "no-store",
    ...options,
  });
  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 429 || answer.status >= 500) throw new Busy(answer);
  const isLine = answer.headers.get("Content-Type")?.startsWith("text/plain");
  const text = isLine ? await answer.text() : `the server answers ${answer.status}`;
  throw new Refused(answer.status, text);
}

/** Returns where the log stands: whoever reads after this cursor hears all that follows. */
export async function now(channel) {
  const answer = await ask(`${channel}?since=now`);
  return (await answer.json()).cursor;
}

// [publish]
/** Says something on a channel. Once that is answered, it has its place in the log. */
export async function publish(channel, value) {
  const answer = await fetch(`/channels/${channel}`, {
    method: "POST",
    headers: { "Content-Type": "text/plain", "Idempotency-Key": crypto.randomUUID() },
    body: JSON.stringify(value),
  });
  if (answer.status === 429) throw new Busy(answer);
  if (!answer.ok) throw new Refused(answer.status, await answer.text());
}
// [/publish]
