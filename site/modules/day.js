// Level 3: a day on a railway that does not exist; the same number gives the same day.
import { chance } from "./chance.js";
import { makeStations } from "./stations.js";
import { makeTrains } from "./trains.js";

export function makeDay(number) {
  const random = chance(number);
  const stations = makeStations(random);
  return { number, stations, trains: makeTrains(random, stations) };
}
