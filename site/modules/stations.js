// Level 4: stations, their names, and how far along the line they are (0 to 1).

const STARTS = ["Alder", "Bram", "Cold", "Dun", "Elm", "Fen", "Grey", "Hazel", "Ivy", "Kirk", "Lark",
  "Mill", "Nether", "Oak", "Penn", "Quay", "Rook", "Stone", "Thorn", "Under", "West", "Yarrow"];
const ENDS = ["bridge", "by", "combe", "dale", "field", "ford", "gate", "ham", "ley", "mere", "moor",
  "port", "stow", "ton", "wick"];

export function makeStations(random) {
  const names = new Set();
  const count = Math.floor(random(8, 12));
  while (names.size < count) {
    names.add(pick(random, STARTS) + pick(random, ENDS));
  }
  const gaps = [...names].map(() => random(0.5, 1.8));
  const length = gaps.slice(1).reduce((sum, gap) => sum + gap, 0);
  let way = 0;
  return [...names].map((name, index) => {
    if (index > 0) way += gaps[index];
    const end = index === 0 || index === count - 1;
    return { name, place: way / length, junction: end || random() < 0.2 };
  });
}

function pick(random, list) {
  return list[Math.floor(random(0, list.length))];
}
