// A QR code, as far as a URL needs one (ISO/IEC 18004): bytes, versions 1 to 5, level L. That is up
// to 106 bytes in one block, so that neither version bits nor interleaving are needed.

/** Codewords of data, and of correction, by version. */
const VERSIONS = [[19, 7], [34, 10], [55, 15], [80, 20], [108, 26]];
const FORMAT_L = 0b01;
const MASKS = [
  (x, y) => (x + y) % 2,
  (x, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/** Returns rows of dark (1) and light (0) modules; nothing if the text is too long. */
export function qr(text) {
  const bytes = new TextEncoder().encode(text);
  const index = VERSIONS.findIndex(([data]) => bytes.length <= data - 2);
  if (index < 0) return null;
  const [data, correction] = VERSIONS[index];
  const words = codewords(bytes, data);
  const bits = [...words, ...remainder(words, correction)]
    .flatMap((word) => [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => (word >> bit) & 1));
  const candidates = MASKS.map((mask, number) => drawn(17 + 4 * (index + 1), bits, mask, number));
  return candidates.reduce((best, rows) => (penalty(rows) < penalty(best) ? rows : best));
}

/** The mode (4: bytes) and the length come first, which shifts every byte by half of one. */
function codewords(bytes, room) {
  const halves = [4, bytes.length >> 4, bytes.length & 15];
  for (const byte of bytes) halves.push(byte >> 4, byte & 15);
  halves.push(0);
  const words = [];
  for (let at = 0; at < halves.length; at += 2) words.push((halves[at] << 4) | halves[at + 1]);
  for (let pad = 0xec; words.length < room; pad ^= 0xec ^ 0x11) words.push(pad);
  return words;
}

/** Reed and Solomon: what is left of the words after division, in the field of 256 elements. */
function remainder(words, count) {
  const divisor = [1];
  for (let power = 0, root = 1; power < count; power += 1, root = product(root, 2)) {
    divisor.push(0);
    for (let at = divisor.length - 1; at > 0; at -= 1) {
      divisor[at] ^= product(divisor[at - 1], root);
    }
  }
  const left = new Array(count).fill(0);
  for (const word of words) {
    const factor = word ^ left.shift();
    left.push(0);
    for (let at = 0; at < count; at += 1) left[at] ^= product(divisor[at + 1], factor);
  }
  return left;
}

function product(a, b) {
  let sum = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    sum = (sum << 1) ^ ((sum >> 7) * 0x11d);
    if ((b >> bit) & 1) sum ^= a;
  }
  return sum;
}

function drawn(size, bits, mask, number) {
  const rows = Array.from({ length: size }, () => new Array(size).fill(null));
  const set = (x, y, dark) => {
    if (rows[y]?.[x] !== undefined) rows[y][x] = dark ? 1 : 0;
  };
  const square = (centreX, centreY, reach, isDark) => {
    for (let y = -reach; y <= reach; y += 1) {
      for (let x = -reach; x <= reach; x += 1) {
        set(centreX + x, centreY + y, isDark(Math.max(Math.abs(x), Math.abs(y))));
      }
    }
  };
  for (let at = 0; at < size; at += 1) {
    set(at, 6, at % 2 === 0);
    set(6, at, at % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    square(x, y, 4, (ring) => ring !== 2 && ring !== 4);
  }
  if (size > 21) square(size - 7, size - 7, 2, (ring) => ring !== 1);
  drawFormat(size, number, set);
  drawBits(rows, bits, mask);
  return rows;
}

/** Level and mask, twice, with ten bits that correct them. */
function drawFormat(size, number, set) {
  const format = (FORMAT_L << 3) | number;
  let rest = format;
  for (let step = 0; step < 10; step += 1) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((format << 10) | rest) ^ 0x5412;
  for (let at = 0; at < 15; at += 1) {
    const bit = (bits >> at) & 1;
    const skip = at < 6 ? 0 : 1; // The row and column of the timing pattern.
    if (at < 8) set(8, at + skip, bit);
    else set(at === 8 ? 7 : 14 - at, 8, bit);
    if (at < 8) set(size - 1 - at, 8, bit);
    else set(8, size - 15 + at, bit);
  }
  set(8, size - 8, 1);
}

/** Fills what is left, two columns at a time, up and down, from the right. */
function drawBits(rows, bits, mask) {
  const size = rows.length;
  let at = 0;
  let up = true;
  for (let right = size - 1; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const y = up ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (rows[y][x] === null) rows[y][x] = (bits[at++] ?? 0) ^ (mask(x, y) === 0 ? 1 : 0);
      }
    }
  }
}

/** How much a reader could be misled: long runs, blocks, what looks like a corner, imbalance. */
function penalty(rows) {
  const lines = [...rows, ...rows.map((_, x) => rows.map((row) => row[x]))].map((l) => l.join(""));
  let sum = 0;
  for (const line of lines) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
    sum += 40 * [...line.matchAll(/(?=10111010000|00001011101)/g)].length;
  }
  for (let y = 1; y < rows.length; y += 1) {
    for (let x = 1; x < rows.length; x += 1) {
      const four = rows[y][x] + rows[y][x - 1] + rows[y - 1][x] + rows[y - 1][x - 1];
      if (four % 4 === 0) sum += 3;
    }
  }
  const dark = rows.flat().reduce((a, b) => a + b) / rows.length ** 2;
  return sum + 10 * Math.floor(Math.abs(dark - 0.5) * 20);
}
