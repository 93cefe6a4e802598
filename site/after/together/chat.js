// Chat: what is heard is shown, also what we said ourselves. So all see the same, in one order.
import { element, read, whyMissing } from "../page.js";

export const CHAT = "demo/chat";
const SHOWN_MAX = 50;
const TEXT_MAX = 300;

const list = document.getElementById("chat");
const form = document.getElementById("say");

export function hearChat({ message, time, gap }) {
  if (gap) return show(element("li", { className: "note" }, whyMissing(gap)));
  const { name, text } = read(message);
  if (typeof name !== "string" || typeof text !== "string" || text === "") return;
  const when = new Date(1000 * time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  show(element("li", {}, element("b", {}, name.slice(0, 12)), " ",
    element("span", {}, text.slice(0, TEXT_MAX)), " ", element("small", {}, when)));
}

function show(item) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  while (list.children.length > SHOWN_MAX) list.firstChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

export function startChat(line, name) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { text } = form.elements;
    if (text.value.trim()) line.publish(CHAT, { name: name(), text: text.value.trim() });
    text.value = "";
    text.focus();
  });
}
