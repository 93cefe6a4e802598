// The board: draws what the rules make of the log, and says what this tab's train wants.
import { element, read, whyMissing } from "../page.js";
import { COLUMNS, GOAL, ROWS, newGame, play } from "./rules.js";

/** A new log to read each hour, so that nobody has to read all moves that ever were. */
export const GAME = `demo/game-${new Date().toISOString().slice(0, 13)}`;

const ME = crypto.randomUUID().slice(0, 8);
const SOONEST_MS = 90;
/** Trains that have not moved for so long are not drawn. */
const STALE_S = 180;
const SVG = "http://www.w3.org/2000/svg";
const KEYS = { ArrowUp: "n", ArrowRight: "e", ArrowDown: "s", ArrowLeft: "w" };

const board = document.getElementById("board");
const scores = document.getElementById("scores");
const news = document.getElementById("news");

let game = newGame(GAME);
let frame = 0;

export function hearGame({ message, cursor, time, gap }) {
  if (gap) news.textContent = whyMissing(gap);
  if (message === undefined) return;
  game = play(game, read(message), { cursor, time });
  if (game.last) {
    const { who, won } = game.last;
    const name = who === ME ? "You" : game.trains[who].name;
    const verb = won ? `brought ${GOAL} passengers home. A new round` : "picked up a passenger";
    news.textContent = `${name} ${verb}.`;
  }
  frame ||= requestAnimationFrame(draw); // However many moves come at once.
}

export function startGame(line, name) {
  let last = 0;
  const go = (way) => {
    if (performance.now() - last < SOONEST_MS) return;
    last = performance.now();
    line.publish(GAME, { who: ME, name: name(), go: way });
  };
  board.addEventListener("keydown", (event) => {
    const way = KEYS[event.key];
    if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(way);
  });
  for (const button of document.querySelectorAll("[data-go]")) {
    button.addEventListener("click", () => go(button.dataset.go));
  }
  drawTracks();
  draw();
}

function drawTracks() {
  const tracks = shape("g", { class: "tracks" });
  for (let x = 0; x < COLUMNS; x += 1) tracks.append(shape("path", { d: `M${x} 0V${ROWS - 1}` }));
  for (let y = 0; y < ROWS; y += 1) tracks.append(shape("path", { d: `M0 ${y}H${COLUMNS - 1}` }));
  board.prepend(tracks);
}

function draw() {
  frame = 0;
  const { x, y } = game.passenger;
  move(piece("passenger", () => shape("circle", { r: 0.24, class: "passenger" })), x, y);
  const now = Date.now() / 1000;
  const shown = Object.entries(game.trains).filter(([, train]) => now - train.time < STALE_S);
  const ids = new Set(shown.map(([who]) => `train-${who}`));
  for (const old of board.querySelectorAll(".train")) if (!ids.has(old.id)) old.remove();
  for (const [who, train] of shown) {
    const drawn = piece(`train-${who}`, () => {
      const made = shape("g", { class: who === ME ? "train is-mine" : "train" });
      made.append(shape("rect", { x: -0.36, y: -0.3, width: 0.72, height: 0.6, rx: 0.12 }),
        shape("text", { y: 0.16 }));
      return made;
    });
    drawn.lastChild.textContent = [...train.name][0]?.toUpperCase() ?? "?";
    move(drawn, train.x, train.y);
  }
  const ranked = shown.sort(([, a], [, b]) => b.points - a.points).slice(0, 6);
  scores.replaceChildren(...ranked.map(([who, { name, points }]) => element("li", {},
    element("b", {}, who === ME ? `${name} (you)` : name), ` ${points}`)));
}

function piece(id, make) {
  const known = document.getElementById(id);
  if (known) return known;
  const made = make();
  made.id = id;
  board.append(made);
  return made;
}

function move(drawn, x, y) {
  drawn.style.transform = `translate(${x}px, ${y}px)`;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
