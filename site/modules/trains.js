// Level 4: trains: express ones stop where lines meet, local ones everywhere, freight at night and
// out of everybody's way.

const HOURS_END_TO_END = { express: 1.7, local: 3.4, freight: 5.2 };
const STOP_HOURS = { express: 0.04, local: 0.07, freight: 0.3 };

export function makeTrains(random, stations) {
  const trains = [];
  for (const down of [true, false]) {
    const way = down ? stations : [...stations].reverse();
    for (let hour = random(5, 6); hour < 23; hour += random(0.9, 1.6)) {
      trains.push(run("express", hour, way, random));
    }
    for (let hour = random(4.2, 5); hour < 23.5; hour += busy(hour) ? 0.5 : random(0.9, 1.3)) {
      trains.push(run("local", hour, part(random, way), random));
    }
    for (const hour of [random(0, 3.5), random(9, 12), random(19, 22)]) {
      trains.push(run("freight", hour, way, random));
    }
  }
  return trains;
}

function run(kind, start, way, random) {
  let hour = start;
  const calls = [];
  way.forEach(({ place, junction }, index) => {
    if (index > 0) hour += Math.abs(place - way[index - 1].place) * HOURS_END_TO_END[kind];
    calls.push({ hour, place });
    const stops = kind === "local" || junction;
    if (stops && index < way.length - 1) {
      hour += STOP_HOURS[kind] * random(0.8, 1.4);
      calls.push({ hour, place });
    }
  });
  return { kind, calls };
}

/** Most local trains turn back before the end of the line. */
function part(random, way) {
  if (random() < 0.4) return way;
  const from = random() < 0.5 ? 0 : Math.floor(random(1, way.length / 2));
  const length = Math.floor(random(3, way.length));
  return way.slice(from, Math.max(from + 3, from + length));
}

function busy(hour) {
  return (hour > 6 && hour < 9) || (hour > 16 && hour < 19);
}
