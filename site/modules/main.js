// Level 1: the page names this module. It does not name the other nine, which are behind it.
import { Scene } from "./scene.js";
import { timeTree } from "./tree.js";

const canvas = document.getElementById("timetable");
const caption = document.getElementById("timetable-name");
const scene = new Scene(canvas, (day) => {
  caption.textContent = `Timetable ${day.number}: ${day.stations[0].name} to ${day.stations.at(-1).name}, `
    + `${day.trains.length} trains.`;
});

scene.show(1885);
document.getElementById("another").addEventListener("click", () => {
  scene.show(1 + Math.floor(Math.random() * 9999));
});
document.getElementById("another").hidden = false;

timeTree(document.getElementById("tree"));
