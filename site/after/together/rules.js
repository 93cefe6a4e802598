// The rules of the game, pure: a state and a move make the next state. Nobody's clock and no chance
// is in them, so whoever has read the same log sees the same board. No server knows this game.

export const COLUMNS = 11;
export const ROWS = 7;
export const GOAL = 7;
const STEPS = { n: [0, -1], e: [1, 0], s: [0, 1], w: [-1, 0] };

/** A small hash (FNV-1a): where chance would be, this is. */
function hash(text) {
  let sum = 0x811c9dc5;
  for (const letter of text) sum = Math.imul(sum ^ letter.codePointAt(0), 0x01000193) >>> 0;
  return sum ^ (sum >>> 15);
}

const placeOf = (text) => {
  const number = hash(text) >>> 0;
  return { x: number % COLUMNS, y: Math.floor(number / COLUMNS) % ROWS };
};

export function newGame(channel) {
  return { trains: {}, passenger: placeOf(channel), last: null };
}

// [rules]
/** Returns the game after a move that the log has at `cursor`. Who was first, the log says. */
export function play(game, { who, name, go }, { cursor, time }) {
  const step = STEPS[go];
  if (!step || !/^[0-9a-f]{8}$/.test(who)) return game;
  const train = game.trains[who] ?? { ...placeOf(who), points: 0 };
  const x = Math.min(COLUMNS - 1, Math.max(0, train.x + step[0]));
  const y = Math.min(ROWS - 1, Math.max(0, train.y + step[1]));
  const isThere = x === game.passenger.x && y === game.passenger.y;
  const moved = { x, y, time, name: String(name).slice(0, 12), points: train.points + isThere };
  const trains = { ...game.trains, [who]: moved };
  if (!isThere) return { ...game, trains, last: null };
  const passenger = placeOf(cursor);
  if (moved.points < GOAL) return { trains, passenger, last: { who, won: false } };
  for (const other of Object.keys(trains)) trains[other] = { ...trains[other], points: 0 };
  return { trains, passenger, last: { who, won: true } };
}
// [/rules]
