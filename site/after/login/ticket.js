// A ticket is a secret that names a channel: who has read it off the screen may answer on it.

/** Returns 96 random bits, in letters that a channel's name may have. */
export function newTicket() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

export const isTicket = (text) => /^[\w-]{16}$/.test(text);
export const channelOf = (ticket) => `demo/login-${ticket}`;

/** What both screens show, so that a person can see that they mean the same. */
export const shortOf = (ticket) => ticket.slice(0, 4);
