// One line, two channels on it.
import { begin } from "../page.js";
import { CHAT, hearChat, startChat } from "./chat.js";
import { GAME, hearGame, startGame } from "./game.js";
import { Line } from "./line.js";

const NAMES = ["Alder", "Bram", "Cold", "Elm", "Fenn", "Hazel", "Ivy", "Kirk", "Lark", "Oak",
  "Rook", "Stone", "Thorn", "Yarrow"];

const input = document.getElementById("name");
input.value = NAMES[Math.floor(Math.random() * NAMES.length)];
const name = () => input.value.trim().slice(0, 12) || "Nobody";

begin(CHAT, () => {
  const line = new Line([CHAT, GAME], {
    hear(told) {
      if (told.topic !== GAME) hearChat(told);
      if (told.topic !== CHAT) hearGame(told);
    },
    state(text) {
      document.getElementById("state").textContent = text === "on" ? "" : `The line: ${text}.`;
    },
  });
  startChat(line, name);
  startGame(line, name);
});
